/**
 * What a page hears of the channel: from a stream of its own, or from the one that the browser's pages share.
 *
 * The server renders the newest rows, the exact count, and the position in the channel's log that both belong to. A
 * page subscribes from that position, so nothing is missed or doubled between the two.
 */

import { Connection } from "./connection.js";
import { Reading } from "./reading.js";
import { Sharing } from "./sharing.js";

/**
 * @typedef {import("./connection.js").StreamEvent} StreamEvent
 * @typedef {import("./interaction.js").Interaction} Interaction
 * @typedef {import("./interaction.js").Row} Row
 * @typedef {import("./reading.js").Greeting} Greeting
 * @typedef {import("./status.js").State} State
 */

export class Subscription {
  #address;
  #page;
  #reading;
  #connection;
  /** @type {Sharing | null} Null for a page that has its stream to itself. */
  #sharing = null;
  #leads = false;
  /** The server's streams can be shared, as far as we know: one of the original protocol has no positions. */
  #isShareable = Sharing.isAvailable;
  #hasBegun = false;
  #hasGap = false;
  /** @type {State} How the leader's stream stands, or the own one. */
  #state = "connecting";
  /** @type {unknown} */
  #viewers = null;

  /**
   * @param {DOMStringMap} data Of the root: where to subscribe, with which ticket, from which position.
   * @param {string[]} publishIds Of the rows that the page has, oldest first.
   * @param {{row: (row: Row) => void, state: (state: State) => void, viewers: (viewers: unknown) => void,
   *   known: () => Iterable<Interaction>, absent: (isRecovered: boolean, missed: number | null) => void}} page `known`
   *   gives what the page shows; `absent` hears at each greeting after the first how much there is to catch up.
   */
  constructor(data, publishIds, page) {
    this.#page = page;
    this.#address = {
      channel: data.inliveChannel ?? "/channel",
      stream: data.inliveStream ?? "",
      position: data.inlivePosition ?? "",
      ticket: data.inliveTicket ?? "",
      ticketUrl: data.inliveTicketUrl ?? "",
      widgetKey: data.inliveWidgetKey ?? "",
    };
    this.#reading = new Reading(this.#address, publishIds, {
      row: page.row,
      known: page.known,
      viewers: (viewers) => this.#count(viewers),
      greet: (greeting) => this.#greet(greeting),
      miss: () => this.#miss(),
    });
    const reading = this.#reading;
    this.#connection = new Connection(this.#address, {
      get position() {
        return reading.position;
      },
      hear: (event) => this.#hear(event),
      show: (state) => this.#show(state),
    });
  }

  open() {
    this.close();
    if (this.#isShareable) this.#join();
    else this.#connection.open();
  }

  close() {
    this.#leads = false;
    this.#sharing?.leave();
    this.#sharing = null;
    this.#connection.close();
    this.#reading.close();
  }

  /**
   * Sees that it is still connected, as after a sleep, when a connection can be dead without knowing it.
   *
   * @param {boolean} isDoubtful Whether a connection that looks alive is not to be trusted.
   */
  check(isDoubtful) {
    if (this.#connection.isOpen && (isDoubtful || !this.#connection.isLive)) this.#connection.open();
    this.#sharing?.check();
  }

  #join() {
    const reading = this.#reading;
    const connection = this.#connection;
    this.#sharing = new Sharing(this.#address, {
      get position() {
        return reading.position;
      },
      lead: () => this.#lead(),
      take: (from, events) => this.#take(from, events),
      settle: () => this.#settle(),
      catchUp: () => connection.isOpen || connection.open(),
      follow: (state, viewers) => this.#follow(state, viewers),
      part: () => this.#part(),
      hurry: () => connection.hurry(),
    });
    this.#sharing.join();
  }

  #lead() {
    this.#leads = true;
    // A stream that is catching up is as good as a new one.
    if (this.#connection.isLive) this.#sharing?.begin(this.#reading.position, false);
    else this.#connection.open();
    this.#sharing?.tell(this.#state, this.#viewers);
  }

  /** The leader sends all that this page lacks: it needs no stream of its own. */
  #settle() {
    this.#connection.close();
    this.#hasBegun = true;
  }

  /** Each page goes its own way. */
  #part() {
    const isOpen = this.#connection.isOpen;
    this.#isShareable = false;
    this.#leads = false;
    this.#sharing?.leave();
    this.#sharing = null;
    if (!isOpen) this.#connection.open();
  }

  /**
   * @param {string} from
   * @param {StreamEvent[]} events
   */
  #take(from, events) {
    this.#reading.startAt(from);
    for (const event of events) this.#reading.receive(event);
  }

  /**
   * @param {State} state
   * @param {unknown} viewers
   */
  #follow(state, viewers) {
    if (this.#connection.isOpen) return; // it has its own
    // A leader that may read no longer is no leader any more; whether we may, is seen when our turn comes.
    if (state !== "refused") this.#show(state);
    this.#count(viewers);
  }

  /** @param {StreamEvent} event Of the own stream. */
  #hear(event) {
    if (this.#reading.receive(event) && this.#leads) this.#sharing?.pass(event);
  }

  /** @param {Greeting} greeting */
  #greet({ isDecided, isRecovered, isFromOldest, missed }) {
    this.#connection.greeted();
    this.#hasGap ||= !isRecovered;
    if (this.#leads && isDecided) this.#sharing?.begin(this.#reading.position, isFromOldest);
    if (!isDecided && this.#sharing) {
      this.#sharing.part();
      this.#part();
    }
    this.#show("live");
    if (this.#hasBegun) this.#page.absent(isRecovered, missed);
    this.#hasBegun = true;
  }

  #miss() {
    this.#hasGap = true;
    this.#show(this.#state);
  }

  /** @param {State} state */
  #show(state) {
    this.#state = state;
    this.#page.state(state === "live" && this.#hasGap ? "gap" : state);
    if (this.#leads) this.#sharing?.tell(state, this.#viewers);
    if (state === "refused") {
      this.#leads = false;
      this.#sharing?.leave(); // the next page has a ticket of its own
      this.#sharing = null;
    }
  }

  /** @param {unknown} viewers */
  #count(viewers) {
    if (typeof viewers !== "number") return;
    this.#viewers = viewers;
    this.#page.viewers(viewers);
    if (this.#leads) this.#sharing?.tell(this.#state, viewers);
  }
}
