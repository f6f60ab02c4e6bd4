/** The rows: newest first, held back while the reader has paused them or has scrolled away from the top. */

import { numberFormat, timeFormat } from "./format.js";
import { COUNTED } from "./interaction.js";

/**
 * @typedef {import("./interaction.js").Interaction} Interaction
 * @typedef {import("./interaction.js").Row} Row
 */

/** Rows on the page, and rows that wait, at most; the oldest leave. They are on the pages of older rows. */
const MAX_ROWS = 500;
/** Rows drawn at once that may still flash: many moving colours would cost more time than the rows themselves. */
const MAX_FLASHES = 5;
/** Pixels from the top within which the reader follows: a touch rarely ends at 0 exactly. */
const NEAR_TOP = 8;

/** A part of the page. */
export class Feed {
  #root;
  #list;
  #template;
  #pause;
  #newer;
  #scroller;
  /** @type {Row[]} The newest of those that are held back, oldest first. */
  #waiting = [];
  /** All that are held back, those too that have left #waiting. */
  #waitingCount = 0;
  #number;
  #time;

  /** @param {HTMLElement} root */
  constructor(root) {
    const find = (/** @type {string} */ name) =>
      /** @type {HTMLElement | null} */ (root.querySelector(`[data-inlive-${name}]`));
    this.#root = root;
    this.#number = numberFormat(root);
    this.#time = timeFormat(root, { dateStyle: "medium", timeStyle: "medium" });
    this.#list = find("list");
    this.#template = /** @type {HTMLTemplateElement | null} */ (find("row"));
    this.#pause = find("pause");
    this.#newer = find("newer");
    this.#scroller = this.#list?.parentElement ?? null;
    for (const time of this.#list?.querySelectorAll("time") ?? []) {
      const date = new Date(time.dateTime);
      if (!isNaN(date.valueOf())) time.textContent = this.#time.format(date);
    }
    this.#pause?.addEventListener("click", () => (this.paused = !this.paused));
    this.#newer?.addEventListener("click", () => this.#goToNewest());
    this.#scroller?.addEventListener("scroll", () => this.#settle(), { passive: true });
    if (this.#pause && root.dataset.inliveLogs === "live") this.#pause.hidden = false;
  }

  /** @returns {boolean} */
  get paused() {
    return this.#pause?.getAttribute("aria-pressed") === "true";
  }

  set paused(paused) {
    this.#pause?.setAttribute("aria-pressed", String(paused));
    this.#settle();
  }

  /** @returns {boolean} Whether new rows are shown as they come. */
  get isFollowing() {
    return !this.paused && (this.#scroller?.scrollTop ?? 0) <= NEAR_TOP;
  }

  /** @returns {string[]} The publish ids of the rows on the page, oldest first. */
  get publishIds() {
    const rows = /** @type {NodeListOf<HTMLElement> | []} */ (this.#list?.querySelectorAll("[data-inlive-id]") ?? []);
    return [...rows].map((row) => row.dataset.inliveId ?? "").reverse();
  }

  /** @returns {Iterable<Interaction>} What the rows show: those on the page and those that wait. */
  *interactions() {
    yield* this.#waiting;
    const field = (/** @type {Element} */ row, /** @type {string} */ name) =>
      row.querySelector(`[data-inlive-field="${name}"]`)?.textContent ?? "";
    for (const row of this.#list?.children ?? []) {
      const time = new Date(row.querySelector("time")?.dateTime ?? "").valueOf();
      const action = field(row, "action") || COUNTED;
      yield { name: field(row, "name"), action, user_id: field(row, "user_id"), page: field(row, "page"), time };
    }
  }

  /** @param {Row[]} rows Oldest first. */
  add(rows) {
    this.#waiting = this.#waiting.concat(rows).slice(-MAX_ROWS);
    this.#waitingCount += rows.length;
    this.#settle();
  }

  /** Shows what waits, or says how much that is. */
  #settle() {
    if (this.isFollowing && this.#waitingCount) {
      const rows = this.#waiting;
      this.#waiting = [];
      this.#waitingCount = 0;
      this.#draw(rows);
    }
    const waiting = this.#number.format(this.#waitingCount);
    this.#say("waiting", waiting, this.paused);
    this.#say("newer", waiting, !this.paused && this.#waitingCount > 0);
  }

  /**
   * @param {string} name Of a sentence with a number in it.
   * @param {string} number
   * @param {boolean} isShown
   */
  #say(name, number, isShown) {
    const sentence = /** @type {HTMLElement | null} */ (this.#root.querySelector(`[data-inlive-${name}]`));
    const count = this.#root.querySelector(`[data-inlive-${name}-count]`);
    if (count && count.textContent !== number) count.textContent = number;
    if (sentence && sentence.hidden === isShown) sentence.hidden = !isShown;
  }

  #goToNewest() {
    if (!this.#scroller) return;
    this.#scroller.scrollTop = 0;
    this.#settle();
    this.#scroller.focus({ preventScroll: true }); // the button has gone, and the focus would go with it
  }

  /** @param {Row[]} rows Oldest first. */
  #draw(rows) {
    if (!this.#list) return;
    const drawn = rows.map((row) => this.#render(row, rows.length <= MAX_FLASHES)).reverse();
    this.#list.prepend(...drawn);
    while (this.#list.childElementCount > MAX_ROWS) this.#list.lastElementChild?.remove();
    const empty = /** @type {HTMLElement | null} */ (this.#root.querySelector("[data-inlive-empty]"));
    if (empty) empty.hidden = true;
  }

  /**
   * @param {Row} row
   * @param {boolean} flashes
   */
  #render(row, flashes) {
    const fragment = /** @type {DocumentFragment} */ (this.#template?.content.cloneNode(true));
    const item = /** @type {HTMLElement} */ (fragment.firstElementChild);
    item.dataset.inliveId = row.publishId;
    item.classList.toggle("inlive-new", flashes); // the stylesheet lets it flash
    for (const field of /** @type {NodeListOf<HTMLElement>} */ (item.querySelectorAll("[data-inlive-field]"))) {
      const name = field.dataset.inliveField;
      if (field instanceof HTMLTimeElement) {
        const date = new Date(row.time);
        field.dateTime = date.toISOString();
        field.textContent = this.#time.format(date);
      } else if (name === "name" || name === "user_id" || name === "page") {
        field.textContent = row[name];
      } else if (name === "label") {
        field.textContent = row.label && (this.#root.getAttribute(`data-label-${row.label}`) ?? row.label);
      } else if (name === "action") {
        // The row says "clicked" by itself; any other action is named.
        field.textContent = row.action === COUNTED ? "" : row.action;
      }
    }
    return item;
  }
}
