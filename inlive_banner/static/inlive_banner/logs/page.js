/**
 * One log on a page, kept live: its parts, what they are given, and when the whole is rendered anew.
 *
 * @typedef {import("./interaction.js").Row} Row
 * @typedef {{add: (rows: Row[]) => boolean | void, end?: () => void}} Part Shows rows in its own way; `add` is true where
 *   only the server can say what they change. It is made anew, with the root, whenever the server has rendered the log
 *   anew; `end` is called on the one before.
 */

import { Chart } from "./chart.js";
import { Feed } from "./feed.js";
import { Filter } from "./filter.js";
import { Numbers } from "./numbers.js";
import { RefusedError, fetchRoot, hasMarked, replaceAll, replaceMarked } from "./renewal.js";
import { Status } from "./status.js";
import { Subscription } from "./subscription.js";
import { Tops } from "./tops.js";
import { nameZone } from "./zone.js";

/** Milliseconds until changes are shown in a tab where no animation frames run, because it is hidden. */
const HIDDEN_FLUSH = 250;
/** Rows that wait for that at most: a hidden tab's timers may run once a minute only. */
const MAX_PENDING = 2_000;
/** Milliseconds between two fetches of the numbers that can't be counted live, where clicks came meanwhile. */
const REFRESH_EVERY = 15_000;
/** And at the latest: they may change with the time, too. */
const REFRESH_LATEST = 60_000;
/** Milliseconds until the worker has most likely recorded what came just now. */
const RECORDED_AFTER = 1_000;
/** Milliseconds until a rendering that has failed, or would disturb the reader now, is tried again. */
const FIRST_RETRY = 5_000;
const LONGEST_RETRY = 60_000;
/** Events that came while the page was away: with more of them, rendering anew is less work than showing each. */
const MANY_EVENTS = 2_000;
/** Milliseconds: no timer waits longer than a browser's 31 bits can say. */
const LONGEST_TIMER = 2 ** 31 - 1;

export class LogsPage {
  #root;
  #feed;
  /** @type {Part[]} */
  #parts = [];
  #filter;
  #status;
  /** @type {Subscription | null} Null for a page that stands still. */
  #subscription = null;
  /** @type {Row[]} Not given to the parts yet, oldest first. */
  #pending = [];
  #frame = 0;
  #timer = 0;
  #renewTimer = 0;
  #periodTimer = 0;
  #refreshTimer = 0;
  #refreshedAt = Date.now();
  /** Whether rows came since then. */
  #isChanged = false;
  /** Whether the server had no rows to draw a chart and lists of. */
  #isBare = false;
  #retry = FIRST_RETRY;
  #isRenewing = false;
  #renewedAt = 0;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    this.#feed = new Feed(root);
    this.#filter = new Filter(root.dataset);
    this.#status = new Status(root, () => this.#renew());
    this.#fill();
    setInterval(() => {
      if (this.#isChanged || Date.now() - this.#refreshedAt >= REFRESH_LATEST) this.#refreshNumbers();
    }, REFRESH_EVERY);
  }

  open() {
    this.#subscription?.open();
  }

  close() {
    this.#subscription?.close();
  }

  /** @param {boolean} isDoubtful Whether a connection that looks alive is not to be trusted. */
  check(isDoubtful) {
    this.#subscription?.check(isDoubtful);
  }

  /** Makes the parts of what the server has rendered, and goes on from its position. */
  #fill() {
    const root = this.#root;
    nameZone(root);
    this.#isBare = "inliveBare" in root.dataset;
    this.#parts = [this.#feed, new Numbers(root), new Chart(root), new Tops(root)];
    // "older" and "past" stand still.
    if (root.dataset.inliveLogs !== "live") return;
    this.#subscription = new Subscription(root.dataset, this.#feed.publishIds, {
      row: (row) => this.#add(row),
      state: (state) => (this.#status.state = state),
      viewers: (viewers) => (this.#status.viewers = viewers),
      known: () => this.#known(),
      absent: (isRecovered, missed) => this.#comeBack(isRecovered, missed),
    });
    this.#status.state = "connecting";
    this.#subscription.open();
    this.#awaitEnd();
  }

  #known() {
    this.#flush();
    return this.#feed.interactions();
  }

  /** @param {Row} row */
  #add(row) {
    if (row.receivedAt >= this.#filter.until) this.#renewLater(0);
    if (!this.#filter.takes(row)) return;
    this.#pending.push(row);
    if (this.#pending.length >= MAX_PENDING) this.#flush();
    if (this.#timer || !this.#pending.length) return;
    this.#frame = requestAnimationFrame(() => this.#flush());
    this.#timer = setTimeout(() => this.#flush(), HIDDEN_FLUSH);
  }

  #flush() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#timer = 0;
    const rows = this.#pending;
    this.#pending = [];
    if (!rows.length) return;
    this.#isChanged = true;
    for (const part of this.#parts) {
      try {
        if (part.add(rows)) this.#refreshSoon();
      } catch (error) {
        reportError(error); // the others go on
      }
    }
    if (this.#isBare) this.#renewLater(RECORDED_AFTER);
  }

  #refreshSoon() {
    const earliest = this.#refreshedAt + FIRST_RETRY - Date.now();
    this.#refreshTimer ||= setTimeout(() => this.#refreshNumbers(), Math.max(RECORDED_AFTER, earliest));
  }

  /** When the period is over, the server renders what comes after it. */
  #awaitEnd() {
    const left = this.#filter.until - Date.now();
    if (left === Infinity) return;
    const end = () => (Date.now() < this.#filter.until ? this.#awaitEnd() : this.#renewLater(0));
    this.#periodTimer = setTimeout(end, Math.min(Math.max(left, 0), LONGEST_TIMER));
  }

  /**
   * @param {boolean} isRecovered Whether all that was missed comes by itself.
   * @param {number | null} missed How many events that is.
   */
  #comeBack(isRecovered, missed) {
    if (isRecovered && (missed ?? 0) <= MANY_EVENTS) return;
    if (!isRecovered && missed !== 0) this.#status.offer(missed);
    // Who reads further down isn't taken away from there; many events come one by one, then.
    if (this.#feed.isFollowing) this.#renewLater(0);
  }

  /** @param {number} wait Milliseconds. */
  #renewLater(wait) {
    if (this.#renewTimer) return;
    // Should the site's clock be behind the channel's or ours, it may render the same period once more.
    const earliest = this.#renewedAt + FIRST_RETRY - Date.now();
    this.#renewTimer = setTimeout(() => {
      this.#renewTimer = 0;
      if (this.#feed.isFollowing && !this.#isInUse()) this.#renew();
      else this.#renewLater(FIRST_RETRY);
    }, Math.max(wait, earliest));
  }

  /** Whether the reader is about to choose something that a new rendering would take back. */
  #isInUse() {
    return this.#root.contains(document.activeElement) && document.activeElement?.closest("form") !== null;
  }

  /** Has the server render the log anew, and goes on from there. Until that has come, all goes on as it was. */
  async #renew() {
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    try {
      const fresh = await fetchRoot(this.#root);
      const paused = this.#feed.paused;
      this.#end();
      const restoreFocus = replaceAll(this.#root, fresh);
      this.#retry = FIRST_RETRY;
      this.#renewedAt = Date.now();
      this.#feed = new Feed(this.#root);
      this.#feed.paused = paused;
      this.#filter = new Filter(this.#root.dataset);
      this.#status = new Status(this.#root, () => this.#renew());
      this.#fill();
      restoreFocus();
    } catch (error) {
      if (error instanceof RefusedError) {
        this.#end();
        this.#status.state = "refused";
      } else {
        this.#renewLater(this.#retry);
        this.#retry = Math.min(this.#retry * 2, LONGEST_RETRY);
      }
    } finally {
      this.#isRenewing = false;
    }
  }

  #end() {
    this.#subscription?.close();
    this.#subscription = null;
    this.#flush();
    clearTimeout(this.#periodTimer);
    clearTimeout(this.#renewTimer);
    clearTimeout(this.#refreshTimer);
    this.#renewTimer = this.#refreshTimer = 0;
    for (const part of this.#parts) part.end?.();
  }

  async #refreshNumbers() {
    clearTimeout(this.#refreshTimer);
    this.#refreshTimer = 0;
    if (!this.#subscription || document.hidden || this.#feed.paused || !hasMarked(this.#root)) return;
    const subscription = this.#subscription;
    this.#isChanged = false;
    this.#refreshedAt = Date.now();
    try {
      const fresh = await fetchRoot(this.#root);
      if (this.#subscription !== subscription) return;
      replaceMarked(this.#root, fresh);
      nameZone(this.#root);
    } catch (error) {
      if (!(error instanceof RefusedError) || this.#subscription !== subscription) return; // the next time, then
      this.#end();
      this.#status.state = "refused";
    }
  }
}
