/**
 * A stream of events, open for as long as it is wanted, whatever happens to its connections.
 *
 * An EventSource reconnects by itself, by Last-Event-ID; where it has given up (any answer but 200, such as an expired
 * ticket's) a fresh ticket is fetched and a new one opened from the last event that was seen.
 */

import { VIEW } from "./interaction.js";

/**
 * @typedef {{data: string, id: string}} StreamEvent As it came; the id is "" where the stream has had none.
 * @typedef {import("./status.js").State} State
 */

/** Milliseconds before a subscription is opened again: doubled by each failure, up to the longest. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
/** Milliseconds without a connection until that is said, and until it is said what to check. */
const SAID_AFTER = 1_000;
const UNREACHABLE_AFTER = 15_000;
/** Milliseconds between two attempts that somebody else is in a hurry for. */
const HURRY_EVERY = 2_000;

export class Connection {
  #address;
  #ticket;
  #listener;
  /** @type {EventSource | null} */
  #source = null;
  #isLive = false;
  #wasLive = false;
  #triedAt = 0;
  #retryTimer = 0;
  #wait = FIRST_WAIT;
  #lostAt = 0;
  #lostTimer = 0;

  /**
   * @param {{channel: string, stream: string, ticket: string, ticketUrl: string}} address
   * @param {{position: string, hear: (event: StreamEvent) => void, show: (state: State) => void}} listener `position`
   *   is read at each connection: the stream goes on from there.
   */
  constructor(address, listener) {
    this.#address = address;
    this.#ticket = address.ticket;
    this.#listener = listener;
  }

  /** Whether it is wanted, connected or not. */
  get isOpen() {
    return Boolean(this.#source || this.#retryTimer);
  }

  /** Whether the server has greeted it, and nothing has gone wrong since. */
  get isLive() {
    return this.#isLive;
  }

  /** Opens it, or opens it anew, without delay. */
  open() {
    this.#drop();
    this.#lose();
    this.#triedAt = Date.now();
    const { channel, stream } = this.#address;
    const query = new URLSearchParams({ last_event_id: this.#listener.position, actions: `!${VIEW}` });
    if (this.#ticket) query.set("ticket", this.#ticket);
    const source = new EventSource(`${channel}/subscribe/${stream}?${query}`);
    source.onmessage = ({ data, lastEventId }) => this.#listener.hear({ data, id: lastEventId });
    source.onerror = () => {
      this.#lose();
      this.#listener.show(this.#lostState());
      if (source.readyState === EventSource.CLOSED) this.#openLater();
    };
    this.#source = source;
  }

  close() {
    this.#drop();
    this.#settle();
  }

  /** The server's greeting has come. */
  greeted() {
    this.#wait = FIRST_WAIT;
    this.#settle();
    this.#isLive = this.#wasLive = true;
  }

  /** Tries at once where it waits for its next attempt: a hidden tab's timers may run once a minute only. */
  hurry() {
    if (!this.#retryTimer || Date.now() - this.#triedAt < HURRY_EVERY) return;
    clearTimeout(this.#retryTimer);
    this.#renewTicket();
  }

  #drop() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = 0;
    this.#source?.close();
    this.#source = null;
    this.#isLive = false;
  }

  #settle() {
    clearTimeout(this.#lostTimer);
    this.#lostAt = 0;
  }

  /** Begins to count the time without a connection. */
  #lose() {
    this.#isLive = false;
    if (this.#lostAt) return;
    this.#lostAt = Date.now();
    const say = () => this.#listener.show(this.#lostState());
    this.#lostTimer = setTimeout(() => {
      if (this.#wasLive) say();
      this.#lostTimer = setTimeout(say, UNREACHABLE_AFTER - SAID_AFTER);
    }, SAID_AFTER);
  }

  /** @returns {State} */
  #lostState() {
    return Date.now() - this.#lostAt >= UNREACHABLE_AFTER ? "unreachable" : "reconnecting";
  }

  #openLater() {
    this.#drop();
    // Jitter, so that a restart of the channel doesn't bring all pages back at one instant.
    this.#retryTimer = setTimeout(() => this.#renewTicket(), this.#wait * (0.5 + Math.random()));
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }

  async #renewTicket() {
    const timer = this.#retryTimer;
    this.#triedAt = Date.now();
    const isCurrent = () => this.#retryTimer === timer;
    try {
      if (this.#address.ticketUrl) {
        const response = await fetch(this.#address.ticketUrl, { headers: { Accept: "application/json" } });
        if (!isCurrent()) return;
        if (response.status === 401 || response.status === 403) {
          // Signed out, or no longer allowed: asking again won't help, signing in and reloading will.
          this.close();
          this.#listener.show("refused");
          return;
        }
        const { ticket } = await response.json();
        if (!isCurrent()) return;
        this.#ticket = ticket;
      }
      this.open();
    } catch {
      if (isCurrent()) this.#openLater();
    }
  }
}
