/**
 * The chart of clicks over time, kept live: the table behind it has the numbers, and the drawing follows the table.
 *
 * The server draws it the same way (chart.py); without this script it shows the moment that the page was made.
 */

import { numberFormat, timeFormat } from "./format.js";
import { COUNTED } from "./interaction.js";

/** Of the drawing, in its own units, as the server has them: from a bar to the next, its gap on either side, height. */
const STEP = 10;
const GAP = 1;
const HEIGHT = 100;
/** Digits of the numbers that the top of the chart may be, and the smallest of them. */
const DIGITS = [1, 2, 3, 4, 5, 6, 8];
const LOWEST_TOP = 4;
/** Milliseconds of the units whose bars go on by themselves; a new week's or month's comes with the next page. */
const LENGTHS = { minute: 60e3, hour: 3600e3, day: 86400e3 };

/** @type {Record<string, Intl.DateTimeFormatOptions>} */
const LABELS = {
  minute: { timeStyle: "short" },
  hour: { timeStyle: "short" },
  day: { day: "numeric", month: "long" },
};

/** @param {number} count @returns {number} The next number of one digit and zeros. */
export function roundUp(count) {
  const wanted = Math.max(count, LOWEST_TOP);
  for (let size = 1; ; size *= 10) {
    const digit = DIGITS.find((each) => each * size >= wanted);
    if (digit) return digit * size;
  }
}

export class Chart {
  #root;
  #figure;
  #counted;
  #number;
  /** @type {HTMLTableRowElement[]} One for each bar. */
  #rows = [];
  /** @type {number[]} When the time of each begins, Unix milliseconds. */
  #starts = [];
  #until = 0;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#counted = root.dataset.filterAction ?? COUNTED;
    this.#root = root;
    this.#number = numberFormat(root);
    this.#figure = /** @type {HTMLElement | null} */ (root.querySelector("[data-inlive-chart]"));
    if (!this.#figure) return;
    this.#rows = [...this.#figure.querySelectorAll("tr")].filter((row) => "start" in row.dataset);
    this.#starts = this.#rows.map((row) => Number(row.dataset.start));
    this.#until = Number(this.#figure.dataset.until);
  }

  /** @param {{action: string, receivedAt: number}[]} rows */
  add(rows) {
    const changed = new Set();
    for (const { action, receivedAt } of this.#figure ? rows : []) {
      if (action !== this.#counted) continue;
      const row = this.#rows[this.#bucketOf(receivedAt)];
      if (!row) continue;
      row.dataset.count = String(Number(row.dataset.count) + 1);
      changed.add(row);
    }
    for (const row of changed) row.cells[1].textContent = this.#number.format(Number(row.dataset.count));
    if (changed.size) this.#draw();
  }

  /** @param {number} time @returns {number} -1 where the chart begins later. */
  #bucketOf(time) {
    const unit = this.#figure?.dataset.unit ?? "";
    const length = LENGTHS[/** @type {keyof LENGTHS} */ (unit)];
    // A clock that is far ahead mustn't fill the page with bars.
    while (length && time >= this.#until && time < this.#until + this.#rows.length * length) this.#append(length, unit);
    return this.#starts.findLastIndex((start) => start <= time);
  }

  /** @param {number} length @param {string} unit */
  #append(length, unit) {
    const last = this.#rows[this.#rows.length - 1];
    const row = /** @type {HTMLTableRowElement} */ (last.cloneNode(true));
    row.dataset.start = String(this.#until);
    row.dataset.count = "0";
    row.cells[0].textContent = timeFormat(this.#root, LABELS[unit]).format(this.#until);
    row.cells[1].textContent = this.#number.format(0);
    last.after(row);
    this.#rows.push(row);
    this.#starts.push(this.#until);
    this.#until += length;
    const svg = this.#figure?.querySelector("svg");
    const bar = svg?.lastElementChild?.cloneNode(true);
    if (svg && bar) svg.append(bar);
    svg?.setAttribute("viewBox", `0 0 ${STEP * this.#rows.length} ${HEIGHT}`);
    const ticks = this.#figure?.querySelectorAll(".inlive-ticks > *");
    const tick = ticks?.[ticks.length - 1];
    if (tick) tick.textContent = row.cells[0].textContent;
  }

  #draw() {
    const counts = this.#rows.map((row) => Number(row.dataset.count));
    const top = roundUp(counts.reduce((most, count) => Math.max(most, count), 0));
    const written = this.#figure?.querySelector("[data-inlive-top]");
    if (written) written.textContent = this.#number.format(top);
    const bars = this.#figure?.querySelectorAll("rect") ?? [];
    for (const [index, bar] of [...bars].entries()) {
      const height = (HEIGHT * counts[index]) / top;
      bar.setAttribute("x", String(STEP * index + GAP));
      bar.setAttribute("y", String(HEIGHT - height));
      bar.setAttribute("height", String(height));
      const title = bar.querySelector("title");
      const [time, count] = this.#rows[index].cells;
      if (title) title.textContent = `${time.textContent}: ${count.textContent}`;
    }
  }
}
