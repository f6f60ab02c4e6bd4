/** The counter: exact at each frame to the eye, and said now and then to the ear. */

import { numberFormat } from "./format.js";
import { COUNTED } from "./interaction.js";

/** @typedef {import("./interaction.js").Row} Row */

/** Milliseconds between two times that a screen reader is told the number: one that speaks without end is no help. */
const SAID_EVERY = 10_000;

/** A part of the page. */
export class Numbers {
  #count;
  #said;
  #total;
  #timer = 0;
  #isToBeSaid = false;
  #format;
  #counted;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#format = numberFormat(root);
    this.#counted = root.dataset.filterAction ?? COUNTED;
    this.#count = /** @type {HTMLElement | null} */ (root.querySelector("[data-inlive-count]"));
    this.#said = /** @type {HTMLElement | null} */ (root.querySelector("[data-inlive-said]"));
    this.#total = Number(this.#count?.dataset.inliveCount);
  }

  /** @param {Row[]} rows Oldest first. */
  add(rows) {
    const counted = rows.filter((row) => row.action === this.#counted).length;
    if (!this.#count || !counted) return;
    this.#total += counted;
    this.#count.dataset.inliveCount = String(this.#total);
    this.#count.textContent = this.#format.format(this.#total);
    this.#isToBeSaid = true;
    if (!this.#timer) this.#say();
  }

  /** The page is refreshed: another takes this one's place. */
  end() {
    clearTimeout(this.#timer);
  }

  #say() {
    this.#timer = 0;
    if (!this.#isToBeSaid || !this.#said) return;
    this.#isToBeSaid = false;
    // A label and a number: right in every language for every number.
    this.#said.textContent = `${this.#said.dataset.inliveSaid} ${this.#format.format(this.#total)}`;
    this.#timer = setTimeout(() => this.#say(), SAID_EVERY);
  }
}
