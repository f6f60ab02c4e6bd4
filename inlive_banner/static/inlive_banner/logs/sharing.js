/**
 * One stream for all pages of a browser that follow the same log.
 *
 * The page that holds the lock leads: it has the stream, and passes each event on. The others follow. Each keeps its own
 * place, so it sees by an event's predecessor whether it has missed any, and asks the leader for what comes after its
 * place. What the leader no longer has, it gets by a short stream of its own. The lock goes on to the next page when
 * its holder is closed, crashes or goes to sleep, and that page opens the stream at its own place.
 *
 * @typedef {import("./connection.js").StreamEvent} StreamEvent
 * @typedef {import("./status.js").State} State
 * @typedef {{kind: "events", from: string, events: StreamEvent[]}
 *   | {kind: "hello", question: string, position: string}
 *   | {kind: "answer", question: string, from: string | null, events: StreamEvent[], isStarting: boolean}
 *   | {kind: "ready", from: string}
 *   | {kind: "state", state: State, viewers: unknown}
 *   | {kind: "apart"}} Message `from` is the place right before the events.
 */

import { reaches } from "./position.js";
import { Ring } from "./ring.js";

/** Milliseconds that a leader has to answer: one that doesn't is frozen, or busy beyond use. */
const ANSWER_TIMEOUT = 2_000;
/** Milliseconds between two questions while this page has a stream of its own, or the leader has none. */
const ASK_EVERY = 1_000;
const ASK_EVERY_WHEN_HIDDEN = 10_000;
/** Goes into the lock's name: pages of another version of this script keep to themselves. */
const VERSION = 1;

export class Sharing {
  #name;
  #member;
  #page = crypto.randomUUID();
  #questions = 0;
  /** The one that is to be answered; "" where none is. An answer to another is about a place that we have left. */
  #question = "";
  /** @type {BroadcastChannel | null} */
  #channel = null;
  #abort = new AbortController();
  /** @type {(() => void) | null} Gives the lock back. */
  #release = null;
  #answerTimer = 0;
  #askTimer = 0;
  #isCatchingUp = false;
  /** @type {Ring | null} The leader's; null until its stream has begun. */
  #ring = null;
  /** @type {StreamEvent[]} Not passed on yet. */
  #pending = [];
  #pendingFrom = "";
  #soon = new MessageChannel();
  /** @type {State} */
  #state = "connecting";
  /** @type {unknown} */
  #viewers = null;

  /** Whether this browser can: only in a secure context, which https and localhost are. */
  static get isAvailable() {
    return Boolean(navigator.locks) && typeof BroadcastChannel === "function";
  }

  /**
   * @param {{channel: string, stream: string}} address
   * @param {{position: string, lead: () => void, take: (from: string, events: StreamEvent[]) => void,
   *   settle: () => void, catchUp: () => void, follow: (state: State, viewers: unknown) => void, part: () => void,
   *   hurry: () => void}} member What the page does: `settle` when it is covered by the leader, `catchUp` when not.
   */
  constructor({ channel, stream }, member) {
    this.#name = `inlive-logs ${VERSION} ${new URL(`${channel}/subscribe/${stream}`, location.href)}`;
    this.#member = member;
    // A message to oneself: unlike a timer it doesn't wait in a hidden tab, and it comes after what has just arrived.
    this.#soon.port1.onmessage = () => this.#flush();
  }

  join() {
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#ask();
    const hold = () => {
      clearTimeout(this.#answerTimer);
      clearTimeout(this.#askTimer);
      return new Promise((/** @type {(value: void) => void} */ release) => {
        this.#release = release;
        this.#member.lead();
      });
    };
    const { signal } = this.#abort;
    navigator.locks.request(this.#name, { signal }, hold).catch(() => {
      if (!signal.aborted) this.#member.part(); // no locks in this document after all
    });
  }

  /** Leaves the others, for good: who comes back joins anew. */
  leave() {
    this.#abort.abort();
    this.#flush();
    this.#channel?.close();
    this.#channel = null;
    clearTimeout(this.#answerTimer);
    clearTimeout(this.#askTimer);
    this.#soon.port1.close();
    this.#release?.();
  }

  /** Asks anew, as after a sleep. */
  check() {
    if (!this.#release) this.#ask();
  }

  /**
   * The leader's stream has begun, or begun again.
   *
   * @param {string} position Where.
   * @param {boolean} isFromOldest
   */
  begin(position, isFromOldest) {
    this.#flush();
    // After a broken connection the stream goes on where the ring ends. Where it doesn't, a ring would have a hole.
    if (this.#ring?.end !== position) this.#ring = new Ring(position, isFromOldest);
    this.#post({ kind: "ready", from: position });
  }

  /** @param {StreamEvent} event Of the leader's stream, new to the leader. */
  pass(event) {
    if (!this.#ring) return;
    if (!this.#pending.length) {
      this.#pendingFrom = this.#ring.end;
      this.#soon.port2.postMessage(null);
    }
    this.#ring.add(event);
    this.#pending.push(event);
  }

  /**
   * The leader tells how it stands with its stream.
   *
   * @param {State} state
   * @param {unknown} viewers
   */
  tell(state, viewers) {
    this.#state = state;
    this.#viewers = viewers;
    this.#post({ kind: "state", state, viewers });
  }

  /** The server's streams can't be shared: each page has one of its own. */
  part() {
    this.#post({ kind: "apart" });
  }

  #flush() {
    const events = this.#pending;
    if (!events.length) return;
    this.#pending = [];
    this.#post({ kind: "events", from: this.#pendingFrom, events });
  }

  /** @param {Message} message */
  #post(message) {
    this.#channel?.postMessage(message);
  }

  /** @param {Message} message */
  #hear(message) {
    if (this.#release) {
      if (message.kind === "hello") this.#answer(message.question, message.position);
      return;
    }
    switch (message.kind) {
      case "events":
        return this.#take(message.from, message.events);
      case "ready":
        return this.#take(message.from, []);
      case "answer":
        if (message.question === this.#question) this.#takeAnswer(message);
        return;
      case "state":
        this.#state = message.state;
        this.#viewers = message.viewers;
        if (message.state !== "live") this.#askLater();
        return this.#member.follow(message.state, message.viewers);
      case "apart":
        return this.#member.part();
    }
  }

  /**
   * @param {string} question
   * @param {string} position
   */
  #answer(question, position) {
    this.#flush(); // what comes after this answer begins where it ends
    const events = this.#ring?.after(position);
    // From the page's own place; from where the oldest begins, for one that has no place yet.
    const from = !events || !this.#ring ? null : position === "0" ? this.#ring.start : position;
    this.#post({ kind: "state", state: this.#state, viewers: this.#viewers });
    this.#post({ kind: "answer", question, from, events: events ?? [], isStarting: !this.#ring });
    if (this.#state !== "live") this.#member.hurry();
  }

  /** @param {Message & {kind: "answer"}} answer */
  #takeAnswer({ from, events, isStarting }) {
    this.#forget();
    if (from !== null) {
      this.#member.take(from, events);
      this.#settle();
    } else if (isStarting) {
      this.#askLater(); // it says by itself when it is ready; should it be closed before, the next one does
    } else {
      this.#catchUp();
    }
  }

  #catchUp() {
    this.#isCatchingUp = true;
    this.#member.catchUp();
    this.#askLater();
  }

  /**
   * @param {string} from
   * @param {StreamEvent[]} events
   */
  #take(from, events) {
    if (!reaches(this.#member.position, from)) {
      // While it catches up it asks now and then: every batch that is too new for it would be too often.
      if (!this.#isCatchingUp) this.#ask();
      return;
    }
    this.#member.take(from, events);
    this.#settle();
  }

  #settle() {
    this.#forget();
    clearTimeout(this.#askTimer);
    this.#askTimer = 0;
    this.#isCatchingUp = false;
    this.#member.settle();
    this.#member.follow(this.#state, this.#viewers);
    if (this.#state !== "live") this.#askLater();
  }

  #ask() {
    if (this.#question) return;
    this.#question = `${this.#page} ${(this.#questions += 1)}`;
    this.#post({ kind: "hello", question: this.#question, position: this.#member.position });
    this.#answerTimer = setTimeout(() => {
      this.#forget();
      this.#catchUp();
    }, ANSWER_TIMEOUT);
  }

  #forget() {
    clearTimeout(this.#answerTimer);
    this.#question = "";
  }

  #askLater() {
    if (this.#askTimer) return;
    this.#askTimer = setTimeout(() => {
      this.#askTimer = 0;
      this.#ask();
    }, document.hidden ? ASK_EVERY_WHEN_HIDDEN : ASK_EVERY);
  }
}
