/** One page's own place in the stream: which events it has had, and what each of them means to it. */

import { History } from "./history.js";
import { readRow } from "./interaction.js";
import { distance, parsePosition, reaches } from "./position.js";

/**
 * @typedef {import("./connection.js").StreamEvent} StreamEvent
 * @typedef {import("./interaction.js").Row} Row
 * @typedef {{isDecided: boolean, isRecovered: boolean, isFromOldest: boolean, missed: number | null}} Greeting Of the
 *   server: whether it decides what an interaction is, as ours does; whether it goes on right after our position, or
 *   begins with the oldest as we have asked; how many events lie between our position and its newest one, null where
 *   nobody can tell.
 */

/** Publish ids that are remembered, to know again what a server with a replaced log sends a second time. */
const MAX_SEEN = 10_000;

export class Reading {
  /** The id of the last event that it has had. */
  position;
  #listener;
  #history;
  #isDecided = true;
  /** @type {Set<string>} In the order of their coming. */
  #seen;

  /**
   * @param {{channel: string, stream: string, widgetKey: string, position: string}} address
   * @param {string[]} publishIds Of the rows that the page has, oldest first.
   * @param {{row: (row: Row) => void, viewers: (viewers: unknown) => void, greet: (greeting: Greeting) => void,
   *   known: () => Iterable<import("./interaction.js").Interaction>, miss: () => void}} listener
   */
  constructor(address, publishIds, listener) {
    this.position = address.position;
    this.#seen = new Set(publishIds);
    this.#listener = listener;
    const show = (/** @type {any} */ envelope) => this.#show(envelope);
    this.#history = new History(address, { known: listener.known, show, miss: listener.miss });
  }

  /**
   * Takes an event in: what it has had already, it knows by the id.
   *
   * @param {StreamEvent} event
   * @returns {boolean} Whether it is one that has a place in the stream, and is new.
   */
  receive({ data, id }) {
    const envelope = parse(data);
    const { type, message } = envelope ?? {};
    if (type === "init") this.#begin(message ?? {}, id);
    if (type === "init" || type === "system") this.#listener.viewers(message?.viewer_count);
    if (type === "request" && this.#history.isAwaited && Array.isArray(message)) this.#history.show(message);
    if (type !== "broadcast" || (id && reaches(this.position, id))) return false;
    // An event without an id leaves this as it was: where the stream goes on.
    if (id) this.position = id;
    if (this.#history.isAwaited) this.#history.hold(envelope);
    else this.#show(envelope);
    return Boolean(id);
  }

  /**
   * Gives a page that is at "0" the place where the oldest begins.
   *
   * @param {string} position
   */
  startAt(position) {
    if (!parsePosition(this.position)) this.position = position;
  }

  /** The connection is closed: what waited for a history on it is shown. */
  close() {
    this.#history.release();
  }

  /**
   * @param {any} message
   * @param {string} id Where the stream goes on.
   */
  #begin(message, id) {
    this.#history.release();
    this.#isDecided = "head" in message;
    const isRecovered = message.recovered !== false;
    const isFromOldest = isRecovered && this.position === "0";
    const between = distance(this.position, message.head);
    // Below our position as well, where the server's log isn't the one that we have read.
    if (id && (!isRecovered || !parsePosition(this.position))) this.position = id;
    if (!this.#isDecided) this.#history.ask(message.token);
    const missed = between === null ? null : Math.max(between, 0);
    this.#listener.greet({ isDecided: this.#isDecided, isRecovered, isFromOldest, missed });
  }

  /** @param {any} envelope */
  #show(envelope) {
    const row = readRow(envelope, this.#isDecided);
    if (!row || (row.publishId && this.#seen.has(row.publishId))) return;
    if (row.publishId) this.#seen.add(row.publishId);
    if (this.#seen.size > MAX_SEEN) {
      const [oldest] = this.#seen;
      this.#seen.delete(oldest);
    }
    this.#listener.row(row);
  }
}

/** @param {string} data */
function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null; // not the channel's: whatever it is, the page goes on
  }
}
