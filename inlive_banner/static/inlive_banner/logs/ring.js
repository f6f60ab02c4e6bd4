/** The newest events of a stream, for pages that have missed some: everything after its beginning, without a hole. */

import { reaches } from "./position.js";

/** @typedef {import("./connection.js").StreamEvent} StreamEvent */

/** Events, and characters of them, that stay when the oldest leave; twice as many at most. */
const MAX_EVENTS = 1_000;
const MAX_CHARACTERS = 2_000_000;

export class Ring {
  /** The place before its first event. */
  start;
  /** The place of its last event. */
  end;
  /** Whether nothing older is stored anywhere: it then covers the position "0" as well. */
  #isFromOldest;
  /** @type {StreamEvent[]} Oldest first. */
  #events = [];
  #characters = 0;

  /**
   * @param {string} start A position.
   * @param {boolean} isFromOldest
   */
  constructor(start, isFromOldest) {
    this.start = this.end = start;
    this.#isFromOldest = isFromOldest;
  }

  /** @param {StreamEvent} event */
  add(event) {
    this.#events.push(event);
    this.#characters += event.data.length;
    this.end = event.id;
    // By halves: what leaves an array at its front is paid for by all that stay.
    if (this.#events.length > 2 * MAX_EVENTS || this.#characters > 2 * MAX_CHARACTERS) this.#shorten();
  }

  /**
   * What comes after a position, or null where the ring doesn't know all of it.
   *
   * @param {string} position
   */
  after(position) {
    if (position === "0" && this.#isFromOldest) return [...this.#events];
    // Who is ahead of us is covered as well: it leaves out what it has.
    if (!reaches(position, this.start)) return null;
    const first = this.#events.findIndex((event) => !reaches(position, event.id));
    return first < 0 ? [] : this.#events.slice(first);
  }

  #shorten() {
    let kept = this.#events.length;
    let characters = 0;
    while (kept > 0 && this.#events.length - kept < MAX_EVENTS) {
      characters += this.#events[kept - 1].data.length;
      if (characters > MAX_CHARACTERS) break;
      kept -= 1;
    }
    if (!kept) return;
    this.start = this.#events[kept - 1].id;
    this.#events.splice(0, kept);
    this.#characters = this.#events.reduce((sum, event) => sum + event.data.length, 0);
    this.#isFromOldest = false;
  }
}
