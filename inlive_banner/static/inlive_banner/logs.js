/**
 * Keeps rendered logs live: each element with `data-inlive-logs` goes on from the position it was rendered at.
 *
 * The server renders the newest rows, the exact count, and the position in the channel's log that both belong to.
 * This script subscribes from that position, so nothing is missed or doubled between the two. An EventSource
 * reconnects by itself, by Last-Event-ID; where it has given up (any answer but 200, such as an expired ticket's)
 * the page fetches a fresh ticket and opens a new one from the last event that it has seen.
 *
 * A server of the original protocol gives neither positions nor ids. There the page asks for the history at each
 * connection and shows what comes after the newest click that it knows; what came meanwhile waits for that.
 *
 * What isn't a person's has a label, and is left out; a page with `data-inlive-everything` shows and counts it too, as
 * the server did for its rows and its count.
 *
 * A page of older rows (`data-inlive-logs="older"`) stands still: only its times are put into the reader's zone.
 * What comes from outside becomes text only, never markup.
 */

/**
 * @typedef {{name: string, action: string, user_id: string, time: number, page: string}} Interaction
 * @typedef {Interaction & {publishId: string, label: string}} Row An interaction as it is shown; the label says why
 *   it isn't a person's.
 * @typedef {"connecting" | "live" | "reconnecting" | "refused" | "gap"} State In words: data-text-<state>.
 */

/** The action that the counter counts. */
const COUNTED = "click";
/** Counted by the worker and shown by no page: so many that they would drive the clicks out. */
const VIEW = "view";
/** An action is a verb such as `click`: the channel's limit, in characters. */
const MAX_ACTION_LENGTH = 64;
/** Rows on the page, at most; the oldest leave. They stay within reach by the "older" link after a reload. */
const MAX_ROWS = 500;
/** Milliseconds that a server of the original protocol has to send its history. */
const HISTORY_TIMEOUT = 10_000;
/** Publish ids that are remembered, to know again what a server with a replaced log sends a second time. */
const MAX_SEEN = 10_000;
/** Milliseconds until changes are shown in a tab where no animation frames run, because it is hidden. */
const HIDDEN_FLUSH = 250;
/** Milliseconds before a subscription is opened again: doubled by each failure, up to the longest. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;

/**
 * Says what a broadcast's message means: an interaction with a banner, or null for anything else.
 *
 * The twin of `read_interaction` in envelope.py; one table of cases tests both. The channel's own decision comes
 * first: this one counts only for a server that speaks the original protocol and makes none.
 *
 * @param {any} message
 * @returns {Interaction | null}
 */
export function readInteraction(message) {
  if (message?.type !== "banner") return null;
  const { action, time } = message;
  const userId = Number.isInteger(message.user_id) ? String(message.user_id) : message.user_id;
  if (typeof action !== "string" || !action || [...action].length > MAX_ACTION_LENGTH) return null;
  if (typeof userId !== "string" || !userId || typeof time !== "number") return null;
  return { name: text(message.name), action, user_id: userId, time, page: text(message.page) };
}

/** @param {Interaction | null} row */
const keyOf = (row) => row && JSON.stringify([row.name, row.action, row.user_id, row.page, row.time]);

/** @param {unknown} value */
const text = (value) => (typeof value === "string" ? value : "");

/** Shows rows, counts and the connection's state. Changes are collected and drawn once per frame. */
class View {
  #status;
  #list;
  #template;
  #count;
  #total;
  /** @type {Row[]} Not drawn yet, oldest first. */
  #waiting = [];
  #frame = 0;
  #timer = 0;
  #number = new Intl.NumberFormat();
  #time = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.#status = /** @type {HTMLElement | null} */ (root.querySelector("[data-inlive-status]"));
    this.#list = /** @type {HTMLElement} */ (root.querySelector("[data-inlive-list]"));
    this.#template = /** @type {HTMLTemplateElement} */ (root.querySelector("template[data-inlive-row]"));
    this.#count = /** @type {HTMLElement | null} */ (root.querySelector("[data-inlive-count]"));
    this.#total = Number(this.#count?.dataset.inliveCount);
    for (const time of this.#list.querySelectorAll("time")) {
      const date = new Date(time.dateTime);
      if (!isNaN(date.valueOf())) time.textContent = this.#time.format(date);
    }
  }

  /** @returns {boolean} Whether what isn't people's is shown and counted too. */
  get showsEverything() {
    return "inliveEverything" in this.root.dataset;
  }

  /** @returns {string[]} The publish ids of the rows on the page, oldest first. */
  get publishIds() {
    const rows = /** @type {NodeListOf<HTMLElement>} */ (this.#list.querySelectorAll("[data-inlive-id]"));
    return [...rows].map((row) => row.dataset.inliveId ?? "").reverse();
  }

  /** @returns {Iterable<Interaction>} What the rows on the page show. */
  *interactions() {
    const field = (/** @type {Element} */ row, /** @type {string} */ name) =>
      row.querySelector(`[data-inlive-field="${name}"]`)?.textContent ?? "";
    for (const row of this.#list.children) {
      const time = new Date(row.querySelector("time")?.dateTime ?? "").valueOf();
      const action = field(row, "action") || COUNTED;
      yield { name: field(row, "name"), action, user_id: field(row, "user_id"), page: field(row, "page"), time };
    }
  }

  /** @param {State} state */
  set state(state) {
    if (!this.#status || this.#status.dataset.state === state) return;
    this.#status.dataset.state = state;
    this.#status.textContent = this.#status.getAttribute(`data-text-${state}`);
  }

  /** @param {unknown} viewers */
  set viewers(viewers) {
    const count = this.root.querySelector("[data-inlive-viewer-count]");
    if (!count || typeof viewers !== "number") return;
    count.textContent = this.#number.format(viewers);
    const sentence = /** @type {HTMLElement | null} */ (count.closest("[data-inlive-viewers]"));
    if (sentence) sentence.hidden = false;
  }

  /** @param {Row} row */
  add(row) {
    this.#waiting.push(row);
    if (this.#timer) return;
    this.#frame = requestAnimationFrame(() => this.#draw());
    this.#timer = setTimeout(() => this.#draw(), HIDDEN_FLUSH);
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#timer = 0;
    const rows = this.#waiting;
    this.#waiting = [];
    this.#total += rows.filter((row) => row.action === COUNTED).length;
    if (this.#count) {
      this.#count.dataset.inliveCount = String(this.#total);
      this.#count.textContent = this.#number.format(this.#total);
    }
    this.#list.prepend(
      ...rows
        .slice(-MAX_ROWS)
        .reverse()
        .map((row) => this.#render(row)),
    );
    while (this.#list.childElementCount > MAX_ROWS) this.#list.lastElementChild?.remove();
    const empty = /** @type {HTMLElement | null} */ (this.root.querySelector("[data-inlive-empty]"));
    if (empty) empty.hidden = true;
  }

  /** @param {Row} row */
  #render(row) {
    const fragment = /** @type {DocumentFragment} */ (this.#template.content.cloneNode(true));
    const item = /** @type {HTMLElement} */ (fragment.firstElementChild);
    item.dataset.inliveId = row.publishId;
    item.classList.add("inlive-new"); // the stylesheet lets it flash
    for (const field of /** @type {NodeListOf<HTMLElement>} */ (item.querySelectorAll("[data-inlive-field]"))) {
      const name = field.dataset.inliveField;
      if (field instanceof HTMLTimeElement) {
        const date = new Date(row.time);
        field.dateTime = date.toISOString();
        field.textContent = this.#time.format(date);
      } else if (name === "name" || name === "user_id" || name === "page") {
        field.textContent = row[name];
      } else if (name === "label") {
        field.textContent = this.root.getAttribute(`data-label-${row.label}`) ?? row.label;
      } else if (name === "action") {
        // The row says "clicked" by itself; any other action is named.
        field.textContent = row.action === COUNTED ? "" : row.action;
      }
    }
    return item;
  }
}

/** One subscription that goes on for as long as the page does, whatever happens to its connections. */
class Subscription {
  #view;
  #channel;
  #stream;
  #position;
  #ticket;
  #ticketUrl;
  /** @type {EventSource | null} */
  #source = null;
  #timer = 0;
  #wait = FIRST_WAIT;
  /** The channel says in `interaction` what an envelope is; if it speaks the original protocol, we decide. */
  #decided = true;
  #gap = false;
  /** @type {Set<string>} In the order of their coming. */
  #seen;
  /** @type {any[] | null} Of a server of the original protocol: what waits until its history has come. */
  #held = null;
  #historyTimer = 0;
  #widgetKey;

  /** @param {View} view */
  constructor(view) {
    const data = view.root.dataset;
    this.#view = view;
    this.#channel = data.inliveChannel ?? "/channel";
    this.#stream = data.inliveStream ?? "";
    this.#position = data.inlivePosition ?? "";
    this.#ticket = data.inliveTicket ?? "";
    this.#ticketUrl = data.inliveTicketUrl ?? "";
    this.#widgetKey = data.inliveWidgetKey ?? "";
    this.#seen = new Set(view.publishIds);
  }

  open() {
    this.close();
    const query = new URLSearchParams({ last_event_id: this.#position, actions: `!${VIEW}` });
    if (this.#ticket) query.set("ticket", this.#ticket);
    const source = new EventSource(`${this.#channel}/subscribe/${this.#stream}?${query}`);
    source.onmessage = (event) => {
      // An event without an id leaves this as it was: where the stream goes on.
      if (event.lastEventId) this.#position = event.lastEventId;
      this.#receive(JSON.parse(event.data));
    };
    source.onerror = () => {
      this.#view.state = "reconnecting";
      if (source.readyState === EventSource.CLOSED) this.#openLater();
    };
    this.#source = source;
  }

  close() {
    clearTimeout(this.#timer);
    this.#release();
    this.#source?.close();
    this.#source = null;
  }

  #openLater() {
    this.close();
    // Jitter, so that a restart of the channel doesn't bring all pages back at one instant.
    this.#timer = setTimeout(() => this.#renewTicket(), this.#wait * (0.5 + Math.random()));
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }

  async #renewTicket() {
    try {
      if (this.#ticketUrl) {
        const response = await fetch(this.#ticketUrl, { headers: { Accept: "application/json" } });
        if (response.status === 401 || response.status === 403) {
          // Signed out, or no longer allowed: asking again won't help, signing in and reloading will.
          this.#view.state = "refused";
          return;
        }
        this.#ticket = (await response.json()).ticket;
      }
      this.open();
    } catch {
      this.#openLater();
    }
  }

  /** @param {any} envelope */
  #receive(envelope) {
    const { type, message } = envelope;
    if (type === "init") {
      this.#wait = FIRST_WAIT;
      this.#decided = "head" in message;
      this.#gap ||= message.recovered === false;
      if (!this.#decided) this.#askForHistory(message.token);
      this.#view.state = this.#gap ? "gap" : "live";
    }
    if (type === "init" || type === "system") this.#view.viewers = message.viewer_count;
    if (type === "request" && this.#held) this.#showHistory(message);
    if (type === "broadcast") {
      if (this.#held) this.#held.push(envelope);
      else this.#show(envelope);
    }
  }

  /** @param {string} token */
  async #askForHistory(token) {
    const held = (this.#held = []);
    this.#historyTimer = setTimeout(() => this.#missHistory(held), HISTORY_TIMEOUT);
    const body = JSON.stringify({ type: "request", widget_key: this.#widgetKey });
    const headers = { "Content-Type": "application/json" };
    try {
      const url = `${this.#channel}/publish/${this.#stream}?token=${token}`;
      const response = await fetch(url, { method: "POST", headers, body });
      if (!response.ok) this.#missHistory(held);
    } catch {
      this.#missHistory(held);
    }
  }

  /** @param {any[]} envelopes Oldest first. */
  #showHistory(envelopes) {
    // What a click shows tells it apart: there are no ids. Two of one person in one millisecond are taken for one.
    const known = new Set([...this.#view.interactions()].map(keyOf));
    const isKnown = (/** @type {any} */ { message }) => known.has(keyOf(readInteraction(message)));
    const fresh = envelopes.slice(envelopes.findLastIndex(isKnown) + 1);
    for (const envelope of fresh) {
      this.#show(envelope);
      known.add(keyOf(readInteraction(envelope.message)));
    }
    this.#held = this.#held?.filter((envelope) => !isKnown(envelope)) ?? null;
    this.#release();
  }

  /** @param {any[]} held What waited for the history that hasn't come. */
  #missHistory(held) {
    if (this.#held !== held) return;
    this.#gap = true;
    this.#view.state = "gap";
    this.#release();
  }

  /** Shows what has waited for the history. */
  #release() {
    clearTimeout(this.#historyTimer);
    const held = this.#held ?? [];
    this.#held = null;
    for (const envelope of held) this.#show(envelope);
  }

  /** @param {any} envelope */
  #show({ message, interaction, label = "", publish_id: publishId = "", received_at: receivedAt }) {
    const row = readInteraction(message);
    if (!row || (this.#decided && !interaction) || this.#seen.has(publishId)) return;
    if ((interaction || row.action) === VIEW || (label && !this.#view.showsEverything)) return;
    if (publishId) this.#seen.add(publishId);
    if (this.#seen.size > MAX_SEEN) {
      const [oldest] = this.#seen;
      this.#seen.delete(oldest);
    }
    // The visitor's clock can be beyond what a date can be; the channel's can't.
    const time = isNaN(new Date(row.time).valueOf()) ? (receivedAt ?? Date.now()) : row.time;
    this.#view.add({ ...row, time, publishId, label });
  }
}

for (const root of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-inlive-logs]"))) {
  const view = new View(root);
  if (root.dataset.inliveLogs === "older") continue;
  const subscription = new Subscription(view);
  view.state = "connecting";
  subscription.open();
  addEventListener("online", () => subscription.open());
  // A page in the back/forward cache holds no connection, and goes on from its position when it is shown again.
  addEventListener("pagehide", () => subscription.close());
  addEventListener("pageshow", (event) => event.persisted && subscription.open());
}
