/**
 * The history of a server of the original protocol, which gives neither positions nor ids.
 *
 * The page asks for it at each connection and shows what comes after the newest click that it knows. What comes live
 * meanwhile waits for that.
 */

import { keyOf, readInteraction } from "./interaction.js";

/** Milliseconds that the server has to send it. */
const TIMEOUT = 10_000;

export class History {
  #address;
  #listener;
  /** @type {any[] | null} What waits for it; null where nothing is waited for. */
  #held = null;
  #timer = 0;

  /**
   * @param {{channel: string, stream: string, widgetKey: string}} address
   * @param {{known: () => Iterable<import("./interaction.js").Interaction>, show: (envelope: any) => void,
   *   miss: () => void}} listener `known` gives what the page shows; `miss` hears that there may be a gap.
   */
  constructor(address, listener) {
    this.#address = address;
    this.#listener = listener;
  }

  get isAwaited() {
    return this.#held !== null;
  }

  /** @param {string} token */
  async ask(token) {
    /** @type {any[]} */
    const held = (this.#held = []);
    this.#timer = setTimeout(() => this.#miss(held), TIMEOUT);
    const { channel, stream, widgetKey } = this.#address;
    const body = JSON.stringify({ type: "request", widget_key: widgetKey });
    const headers = { "Content-Type": "application/json" };
    try {
      const url = `${channel}/publish/${stream}?token=${token}`;
      const response = await fetch(url, { method: "POST", headers, body });
      if (!response.ok) this.#miss(held);
    } catch {
      this.#miss(held);
    }
  }

  /** @param {any} envelope A broadcast that came live. */
  hold(envelope) {
    this.#held?.push(envelope);
  }

  /** @param {any[]} envelopes The history, oldest first. */
  show(envelopes) {
    // What a click shows tells it apart: there are no ids. Two of one person in one millisecond are taken for one.
    const known = new Set([...this.#listener.known()].map(keyOf));
    const isKnown = (/** @type {any} */ { message }) => known.has(keyOf(readInteraction(message)));
    const fresh = envelopes.slice(envelopes.findLastIndex(isKnown) + 1);
    for (const envelope of fresh) {
      this.#listener.show(envelope);
      known.add(keyOf(readInteraction(envelope.message)));
    }
    this.#held = this.#held?.filter((envelope) => !isKnown(envelope)) ?? null;
    this.release();
  }

  /** Shows what has waited, and waits no longer. */
  release() {
    clearTimeout(this.#timer);
    const held = this.#held ?? [];
    this.#held = null;
    for (const envelope of held) this.#listener.show(envelope);
  }

  /** @param {any[]} held What waited for the history that hasn't come. */
  #miss(held) {
    if (this.#held !== held) return;
    this.release();
    this.#listener.miss();
  }
}
