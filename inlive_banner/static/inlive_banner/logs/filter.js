/** Which interactions a page shows and counts: those that the server would have rendered. */

/** @typedef {import("./interaction.js").Row} Row */

export class Filter {
  /** @type {[("name" | "action" | "user_id" | "page"), string | undefined][]} */
  #fields;
  #who;
  /** Unix milliseconds by the channel's clock. */
  #since;
  /** The first millisecond after the period; Infinity where it has no end. */
  until;

  /** @param {DOMStringMap} data Of the root: `data-filter-…` and `data-period-…`; what is absent filters nothing. */
  constructor(data) {
    this.#fields = [
      ["name", data.filterBanner],
      ["action", data.filterAction],
      ["user_id", data.filterUser],
      ["page", data.filterPage],
    ];
    this.#who = data.filterWho ?? "people";
    this.#since = number(data.periodSince, -Infinity);
    this.until = number(data.periodUntil, Infinity);
  }

  /** @param {Row} row */
  takes(row) {
    if (this.#who === "people" && row.label) return false;
    if (this.#who === "others" && !row.label) return false;
    if (row.receivedAt < this.#since || row.receivedAt >= this.until) return false;
    return this.#fields.every(([field, wanted]) => wanted === undefined || row[field] === wanted);
  }
}

/**
 * @param {string | undefined} text
 * @param {number} otherwise
 */
const number = (text, otherwise) => (text && !isNaN(Number(text)) ? Number(text) : otherwise);
