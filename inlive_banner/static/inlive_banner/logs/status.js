/** How it stands with the connection, in words, and who else watches. */

import { numberFormat } from "./format.js";

/**
 * @typedef {"connecting" | "live" | "reconnecting" | "unreachable" | "refused" | "gap" | "offline"} State In words:
 *   data-text-<state>.
 */

export class Status {
  #root;
  #sentence;
  #away;
  #number;

  /**
   * @param {HTMLElement} root
   * @param {() => void} load What the button for what was missed does.
   */
  constructor(root, load) {
    this.#root = root;
    this.#number = numberFormat(root);
    this.#sentence = /** @type {HTMLElement | null} */ (root.querySelector("[data-inlive-status]"));
    this.#away = /** @type {HTMLElement | null} */ (root.querySelector("[data-inlive-away]"));
    root.querySelector("[data-inlive-load]")?.addEventListener("click", load);
  }

  /** @param {State} state */
  set state(state) {
    if (!this.#sentence || this.#sentence.dataset.state === state) return;
    this.#sentence.dataset.state = state;
    this.#sentence.textContent = this.#sentence.getAttribute(`data-text-${state}`);
  }

  /** @param {unknown} viewers */
  set viewers(viewers) {
    const count = this.#root.querySelector("[data-inlive-viewer-count]");
    if (!count || typeof viewers !== "number") return;
    count.textContent = this.#number.format(viewers);
    const sentence = /** @type {HTMLElement | null} */ (count.closest("[data-inlive-viewers]"));
    if (sentence) sentence.hidden = false;
  }

  /**
   * Offers what came while the page was away, and doesn't come by itself.
   *
   * @param {number | null} events How many; null where nobody knows.
   */
  offer(events) {
    if (!this.#away) return;
    const known = /** @type {HTMLElement | null} */ (this.#away.querySelector("[data-inlive-away-known]"));
    const count = this.#away.querySelector("[data-inlive-away-count]");
    if (known) known.hidden = events === null;
    if (count && events !== null) count.textContent = this.#number.format(events);
    this.#away.hidden = false;
  }
}
