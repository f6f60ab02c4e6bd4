/**
 * Tells the channel about clicks on banners: elements with `data-inlive-banner`, now on the page or added later.
 *
 * The visitor is never kept waiting: a click is written to storage and posted with `keepalive`, both before its
 * handler returns, and the browser goes on as if this script weren't there. The stored copy is removed when the
 * channel's 200 arrives. A page that is left before then never sees that answer, so the next page with a banner
 * posts the click again; its `publish_id` makes that harmless, because the channel stores each id once.
 *
 * A page never holds a connection for its banners. It posts with the page token that it was rendered with; only
 * where that is missing or refused does it subscribe, take a token from the first event, and close.
 *
 * Attributes: data-inlive-banner (the banner's name), -stream, -widget-key, -channel ("/channel"), -token.
 * Events on the banner, or on the document for what an earlier page or try has left; they bubble:
 * `inlive:published` {name, action, publishId, data} and `inlive:failed` {name, action, publishId, reason, kept}.
 */

/**
 * @typedef {[channel: string, stream: string, body: Record<string, any>]} Publish A publish and where it goes.
 *
 * @typedef {object} Session What the page knows of one stream.
 * @property {string} [token] Allows to publish; empty where one must be fetched.
 * @property {string} [user_id] The visitor, as the channel calls them; unknown under a page token.
 * @property {boolean} [untried] The token came from a subscription and hasn't been accepted yet.
 * @property {boolean} [inQuery] The server knows the original protocol only: the token goes into the URL.
 * @property {Promise<void> | null} [renewal] The subscription under way. All clicks wait for the same one.
 */

const BANNER = "[data-inlive-banner]";
/** Begins the storage key of each kept publish. The time of the click follows, so that keys sort by age. */
const PREFIX = "inlive-banner:";
/** Kept publishes, at most; the oldest leave. At about 300 bytes each they never fill a site's storage. */
const MAX_KEPT = 50;
/** Milliseconds that a publish is kept: as long as the channel's log knows its id (RETENTION's default). */
const MAX_AGE = 7 * 24 * 3600e3;
/** Characters of the page's path that are sent; the database keeps no more. */
const MAX_PAGE = 1000;
/** Milliseconds until a subscription that has brought no token is given up. */
const TOKEN_TIMEOUT = 1e4;
/** Milliseconds until kept publishes are tried again, with jitter: doubled by each try, up to the longest. */
const FIRST_WAIT = 1e3;
const LONGEST_WAIT = 6e4;
/** Milliseconds that a `Retry-After` is believed, at most: a browser's timer would take a month for no time. */
const LONGEST_RETRY_AFTER = 3600e3;
/** Answers that trying again can't mend: all of 4xx but 401 (token), 408 (timeout) and 429 (too many). */
const HOPELESS = /^4(?!01|08|29)/;

/**
 * What is to be sent: storage key -> JSON of a Publish. Storage and its stand-in are used by property access alike.
 * @type {Record<string, string>}
 */
let kept = {};
/**
 * Each kept publish is locked by its key while a page sends it, so that two tabs don't send the same.
 * Absent from plain http: there they may, which is harmless.
 * @type {LockManager | undefined}
 */
let locks;
try {
  kept = localStorage;
  locks = navigator.locks;
} catch {
  // Storage is denied: what is kept lives as long as the page, and no other page can see it.
}

/** @type {Record<string, Session>} By the stream's publish URL. */
const sessions = {};
/** @type {Set<string>} The keys of what this page is sending now. */
const sending = new Set();

let wait = FIRST_WAIT;
let timer = 0;

/** @param {MouseEvent} event */
function onClick(event) {
  const banner = /** @type {Element} */ (event.target).closest?.(BANNER);
  // `click` is the main button or the keyboard; of the other buttons, `auxclick`, only the middle one opens a link.
  if (banner && event.button === (event.type === "click" ? 0 : 1)) {
    record(/** @type {HTMLElement} */ (banner), "click");
  }
}

/** @param {HTMLElement} banner @param {string} action */
function record(banner, action) {
  const { inliveBanner: name, inliveChannel = "/channel", inliveStream, inliveWidgetKey: widget_key } = banner.dataset;
  const time = Date.now();
  // Ids that grow with time keep every index on them local; `make_publish_id` in envelope.py makes them alike.
  const random = [...crypto.getRandomValues(new Uint32Array(2))].map((part) => part.toString(16).padStart(8, "0"));
  const publish_id = time.toString(16).padStart(11, "0") + random.join("");
  const message = { name, type: "banner", action, user_id: "", time, page: location.pathname.slice(0, MAX_PAGE) };
  const publish = JSON.stringify([inliveChannel, inliveStream, { type: "broadcast", widget_key, publish_id, message }]);
  const key = `${PREFIX}${time}:${publish_id}`;
  for (const old of keptKeys().slice(0, 1 - MAX_KEPT)) delete kept[old];
  try {
    kept[key] = publish;
  } catch {
    kept = { [key]: publish }; // Storage is full: go on as where it is denied.
  }
  const sent = send(key, banner);
  locks?.request(key, () => sent);
}

/** @returns {string[]} The keys of what is kept, oldest first. */
function keptKeys() {
  return Object.keys(kept)
    .filter((key) => key.startsWith(PREFIX))
    .sort();
}

/**
 * Posts what earlier pages, or this one, couldn't: one at a time, and no further than the first that must wait,
 * because a channel in trouble isn't helped by a crowd.
 */
async function sendKept() {
  for (const key of keptKeys()) {
    const attempt = () => kept[key] && !sending.has(key) && send(key, document);
    if (parseInt(key.slice(PREFIX.length)) < Date.now() - MAX_AGE) delete kept[key];
    else if (await (locks ? locks.request(key, { ifAvailable: true }, (lock) => lock && attempt()) : attempt())) break;
  }
}

/** @param {number} atLeast Milliseconds. */
function retryLater(atLeast) {
  clearTimeout(timer);
  timer = setTimeout(
    () => {
      timer = 0;
      wait = Math.min(wait * 2, LONGEST_WAIT);
      sendKept();
    },
    Math.max(Math.min(atLeast, LONGEST_RETRY_AFTER), wait * (1 + Math.random())),
  );
}

/**
 * Posts one kept publish and tells the page how that went. The post is begun before this function first waits.
 *
 * @param {string} key
 * @param {HTMLElement | Document} target Where the event is dispatched.
 * @returns {Promise<boolean>} True where it has to be tried again later.
 */
async function send(key, target) {
  const publish = /** @type {Publish} */ (JSON.parse(kept[key]));
  const { publish_id: publishId, message } = publish[2];
  let data, reason, retryAfter;
  let again = true;
  sending.add(key);
  try {
    const { response, answer } = await post(...publish);
    if (answer.code === 200) data = answer.data ?? {};
    reason = answer.message ?? `Status ${response.status}, and no whole answer of the channel.`;
    retryAfter = Number(response.headers.get("Retry-After"));
    again = !data && !HOPELESS.test(`${response.status}`);
  } catch (error) {
    reason = `${error}`;
  }
  sending.delete(key);
  if (!again) delete kept[key];
  // Of many that fail at once the first sets the time; only the channel's own word changes it.
  else if (retryAfter || !timer) retryLater((retryAfter || 0) * 1e3);
  if (data) wait = FIRST_WAIT;
  else console.error("inlive-banner:", reason);
  const { name, action } = message;
  (target.isConnected ? target : document).dispatchEvent(
    new CustomEvent(data ? "inlive:published" : "inlive:failed", {
      bubbles: true,
      detail: data ? { name, action, publishId, data } : { name, action, publishId, reason, kept: again },
    }),
  );
  return again;
}

/**
 * Posts with the token that the page has, and with a new one where that is refused.
 *
 * @param {string} channel
 * @param {string} stream
 * @param {Record<string, any>} body
 * @returns {Promise<{response: Response, answer: Record<string, any>}>} The answer is empty where it isn't JSON.
 */
async function post(channel, stream, body) {
  const url = `${channel}/publish/${stream}`;
  const session = (sessions[url] ??= { token: pageToken(channel, stream) });
  for (;;) {
    if (!session.token) await (session.renewal ??= renew(session, `${channel}/subscribe/${stream}`));
    const { token, inQuery } = session;
    // Under a page token the channel makes the visitor's id and fills it in.
    body.message.user_id ||= session.user_id ?? "";
    const response = await fetch(inQuery ? `${url}?token=${token}` : url, {
      method: "POST",
      keepalive: true,
      headers: { "Content-Type": "application/json", Authorization: inQuery ? "" : `Bearer ${token}` },
      body: JSON.stringify(body),
    });
    // What isn't JSON isn't the channel's: a proxy's error page, or a hotel's sign-in page with status 200.
    const answer = await response.json().catch(() => ({}));
    if (answer.code === 200) {
      session.untried = false;
      // Of several clicks that were under way with the page token, the first answer says who the visitor is.
      if (answer.data?.token && !session.user_id) Object.assign(session, answer.data);
    }
    if (response.status !== 401) return { response, answer };
    if (session.token !== token) continue; // Another click has brought a new one meanwhile.
    if (session.untried && !inQuery) {
      session.inQuery = true;
    } else {
      session.token = "";
      if (session.untried) return { response, answer };
    }
  }
}

/** @param {string} channel @param {string} stream @returns {string | undefined} What the page was rendered with. */
function pageToken(channel, stream) {
  const banners = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(BANNER));
  const isOfStream = (/** @type {HTMLElement} */ { dataset: { inliveChannel = "/channel", inliveStream } }) =>
    inliveChannel === channel && inliveStream === stream;
  return [...banners].find(isOfStream)?.dataset.inliveToken;
}

/**
 * Subscribes for as long as it takes to get a token.
 *
 * @param {Session} session
 * @param {string} url
 * @returns {Promise<void>}
 */
async function renew(session, url) {
  const source = new EventSource(url);
  try {
    await new Promise((resolve, reject) => {
      source.onmessage = ({ data }) => {
        const { type, message } = JSON.parse(data);
        if (type === "init") resolve(Object.assign(session, { ...message, untried: true }));
      };
      source.onerror = reject;
      setTimeout(reject, TOKEN_TIMEOUT);
    });
  } catch {
    throw new Error("The channel gave no token.");
  } finally {
    source.close();
    session.renewal = null;
  }
}

// On the document and in the capture phase: banners that come later count, and so do those whose own handlers
// stop the event.
document.addEventListener("click", onClick, true);
document.addEventListener("auxclick", onClick, true);
addEventListener("online", sendKept);
sendKept();
