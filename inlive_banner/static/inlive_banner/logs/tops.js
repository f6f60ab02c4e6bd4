/**
 * The banners and pages that had most, kept live: their counts, their order, their bars.
 *
 * What isn't among them yet can't be counted here, because nobody knows what it had before: it comes when the page asks
 * the server again; soon where a list has room for it. That replaces the lists, so they are looked for each time.
 */

import { numberFormat } from "./format.js";
import { COUNTED } from "./interaction.js";

/** Lines that a list has room for, as the server has it. */
const ROOM = 10;
/** What a list counts by, as its parameter in the page's address says -> the part of a row. */
const FIELDS = /** @type {const} */ ({ banner: "name", path: "page" });

export class Tops {
  #root;
  #counted;
  #number;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    this.#counted = root.dataset.filterAction ?? COUNTED;
    this.#number = numberFormat(root);
  }

  /**
   * @param {{action: string, name: string, page: string}[]} rows
   * @returns {boolean} Whether a list has room for one that isn't on it.
   */
  add(rows) {
    const counted = rows.filter((row) => row.action === this.#counted);
    let isMissing = false;
    if (!counted.length) return isMissing;
    for (const section of /** @type {NodeListOf<HTMLElement>} */ (this.#root.querySelectorAll("[data-inlive-most]"))) {
      const field = FIELDS[/** @type {keyof FIELDS} */ (section.dataset.inliveMost)];
      const list = /** @type {HTMLElement} */ (section.querySelector("ol"));
      const isWhole = this.#count(
        list,
        counted.map((row) => row[field]),
      );
      isMissing ||= !isWhole && list.childElementCount < ROOM;
    }
    return isMissing;
  }

  /** @param {HTMLElement} list @param {string[]} values @returns {boolean} Whether all of them are on it. */
  #count(list, values) {
    const lines = /** @type {HTMLElement[]} */ ([...list.children]);
    const byValue = new Map(lines.map((line) => [line.dataset.value, line]));
    const countOf = (/** @type {HTMLElement} */ line) => Number(line.dataset.count);
    for (const value of values) {
      const line = byValue.get(value);
      if (line) line.dataset.count = String(countOf(line) + 1);
    }
    const ranked = lines.toSorted((a, b) => countOf(b) - countOf(a));
    // Moved only where the order is another one: a line that is moved loses the keyboard's focus.
    if (ranked.some((line, index) => line !== lines[index])) list.append(...ranked);
    for (const line of ranked) {
      const number = line.querySelector("b");
      if (number) number.textContent = this.#number.format(countOf(line));
      line.querySelector("rect")?.setAttribute("width", String((100 * countOf(line)) / (countOf(ranked[0]) || 1)));
    }
    return values.every((value) => byValue.has(value));
  }
}
