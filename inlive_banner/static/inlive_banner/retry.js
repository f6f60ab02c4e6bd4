/**
 * What banner.js loads when a click can't just be posted: renews the page's token, and sends later what couldn't
 * be sent at once, by this page or an earlier one.
 *
 * A page never holds a connection for its banners. Only where its token is missing or refused does it subscribe,
 * take a token from the first event, and close.
 *
 * This module posts nothing and tells nothing itself: it has banner.js do that, so that there is one way to do it.
 */

/**
 * @typedef {Record<string, any>} Core What banner.js hands over; see there.
 *
 * @typedef {object} Session What the page knows of one stream. Beside what banner.js keeps in it:
 * @property {string} url
 * @property {string} [token]
 * @property {boolean} [inQuery] The server knows the original protocol only: the token goes into the URL too.
 * @property {Promise<void> | null} [renewal] The subscription under way. All clicks wait for the same one.
 */

/** Begins the storage key of each kept publish, as in banner.js. */
const PREFIX = "inlive-banner:";
/** Milliseconds that a publish is kept: as long as the channel's log knows its id (RETENTION's default). */
const MAX_AGE = 7 * 24 * 3600e3;
/** Milliseconds until a subscription that has brought no token is given up. */
const TOKEN_TIMEOUT = 1e4;
/** Milliseconds until kept publishes are tried again, with jitter: doubled by each try, up to the longest. */
const FIRST_WAIT = 1e3;
const LONGEST_WAIT = 6e4;
/** Milliseconds that a `Retry-After` is believed, at most: a browser's timer would take a month for no time. */
const LONGEST_RETRY_AFTER = 3600e3;
/** The channel's answers that trying again can't mend: all of 4xx but 401 (token), 408 (timeout), 429 (too many). */
const HOPELESS = /^4(?!01|08|29)/;
/** Says of a promise that it is settled no sooner than now. */
const PENDING = Symbol("pending");

/**
 * The bodies that were posted under a token just renewed for them: how that token was sent. Where it is refused as
 * `Bearer`, the server may be of the original protocol, and reads it from the URL only.
 *
 * @type {WeakMap<object, "bearer" | "query">}
 */
const renewedFor = new WeakMap();

/**
 * The bodies that somebody before the channel refused: a firewall may do so with this one for ever, and with no other.
 *
 * @type {WeakSet<object>}
 */
const refused = new WeakSet();

let wait = FIRST_WAIT;
let timer = 0;
let obeying = false;

/**
 * Mends what came of a post, or sends what is kept where there was none.
 *
 * @param {Core} core
 * @param {Session} [session]
 * @param {Record<string, any>} [body]
 * @param {Response & Error} [response] The error where nobody answered.
 * @param {any} [answer] The response's JSON; missing where it has none.
 * @param {string} [token] What it was posted with; without one it wasn't posted.
 * @returns {Promise<{reason: string, kept: boolean} | void>} Nothing where it is worth posting again at once.
 */
export async function retry(core, session, body, response, answer, token) {
  obey(core);
  if (!session || !body) return sendKept(core);
  if (!token || response?.status === 401) {
    try {
      if (await hasOtherToken(session, body, token)) return;
    } catch {
      return failure(core, "The channel gave no token.");
    }
  }
  const foreign = response?.status && `Status ${response.status}, and no whole answer of the channel.`;
  let kept = true;
  if (HOPELESS.test(`${response?.status}`)) {
    // Without the code in its body it's a proxy's page, such as there are while a site is deployed: that will pass.
    kept = answer?.code !== response?.status;
    refused.add(body);
  }
  return failure(core, answer?.message ?? foreign ?? `${response}`, response, kept);
}

/**
 * @param {Core} core
 * @param {string} reason
 * @param {Response} [response]
 * @param {boolean} kept Whether it is worth trying again later.
 */
function failure(core, reason, response, kept = true) {
  const retryAfter = Number(response?.headers?.get("Retry-After"));
  // Of many that fail at once the first sets the time; only the channel's own word changes it.
  if (kept && (retryAfter || !timer)) retryLater(core, (retryAfter || 0) * 1e3);
  console.error("inlive-banner:", reason);
  return { reason, kept };
}

/** @param {Core} core @param {number} atLeast Milliseconds. */
function retryLater(core, atLeast) {
  clearTimeout(timer);
  timer = setTimeout(
    () => {
      timer = 0;
      wait = Math.min(wait * 2, LONGEST_WAIT);
      sendKept(core);
    },
    Math.max(Math.min(atLeast, LONGEST_RETRY_AFTER), wait * (1 + Math.random())),
  );
}

/**
 * Has banner.js post what is kept: one at a time, and no further than the first that must wait, because a channel
 * in trouble isn't helped by a crowd. What was refused before it reached the channel holds up no other. On a page that
 * still waits for the visitor's consent nothing is posted: what an earlier page has kept stays where it is until
 * consent.js says that they have agreed.
 *
 * @param {Core} core
 */
async function sendKept(core) {
  if (document.querySelector("[data-inlive-consent]")) return;
  for (const key of keysOf(core)) {
    const attempt = () => sendOne(core, key);
    if (parseInt(key.split(":")[1]) < Date.now() - MAX_AGE) delete core.kept[key];
    else if (
      await (core.locks
        ? core.locks.request(key, { ifAvailable: true }, (/** @type {Lock | null} */ lock) => lock && attempt())
        : attempt())
    )
      break;
  }
}

/**
 * @param {Core} core
 * @param {string} key
 * @returns {Promise<boolean>} True where the others must wait too.
 */
async function sendOne(core, key) {
  // Where there are no locks, this is what keeps a page from sending what it is sending already.
  const pending = (await Promise.race([core[key], PENDING])) === PENDING;
  if (pending || !core.kept[key]) return false;
  const [url, body] = JSON.parse(core.kept[key]);
  const session = (core[url] ??= { url, token: pageToken(url) });
  core[key] = core.send(key, document, session, body);
  await core[key];
  if (core.kept[key]) return !refused.has(body);
  wait = FIRST_WAIT;
  return false;
}

/** @param {Core} core Its keys of what is kept, oldest first. */
function keysOf(core) {
  return Object.keys(core.kept)
    .filter((key) => key.startsWith(PREFIX))
    .sort();
}

/** @param {Core} core Goes by what consent.js tells from now on; once is enough. */
function obey(core) {
  if (obeying) return;
  obeying = true;
  document.addEventListener("inlive:consented", (event) => {
    // consent.js empties the storage; what this page has kept elsewhere, because there was none, only we can reach.
    if (/** @type {CustomEvent} */ (event).detail.granted) sendKept(core);
    else for (const key of keysOf(core)) delete core.kept[key];
  });
}

/** @param {string} url @returns {string | undefined} What the page was rendered with. */
function pageToken(url) {
  const banners = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-inlive-banner]"));
  const isOfStream = (/** @type {HTMLElement} */ { dataset: { inliveChannel = "/channel", inliveStream } }) =>
    `${inliveChannel}/publish/${inliveStream}` === url;
  return [...banners].find(isOfStream)?.dataset.inliveToken;
}

/**
 * Finds another token than the one that was refused, or another way to send it.
 *
 * @param {Session} session
 * @param {object} body
 * @param {string} [refused]
 * @returns {Promise<boolean>} False where there is none.
 */
async function hasOtherToken(session, body, refused) {
  if (session.token && session.token !== refused) return true; // Another click has brought a new one meanwhile.
  if (session.token) {
    const how = renewedFor.get(body);
    if (how === "bearer") {
      renewedFor.set(body, "query");
      session.inQuery = true;
      putIntoQuery(session);
      return true;
    }
    session.token = "";
    if (how) return false;
  }
  await (session.renewal ??= renew(session));
  renewedFor.set(body, session.inQuery ? "query" : "bearer");
  return true;
}

/** @param {Session} session */
function putIntoQuery(session) {
  session.url = `${session.url.split("?")[0]}?token=${session.token}`;
}

/**
 * Subscribes for as long as it takes to get a token.
 *
 * @param {Session} session
 * @returns {Promise<void>}
 */
async function renew(session) {
  const source = new EventSource(session.url.split("?")[0].replace(/publish(?=\/[^/]*$)/, "subscribe"));
  try {
    await new Promise((resolve, reject) => {
      source.onmessage = ({ data }) => {
        const { type, message } = JSON.parse(data);
        if (type === "init") resolve(Object.assign(session, message));
      };
      source.onerror = reject;
      setTimeout(reject, TOKEN_TIMEOUT);
    });
    if (session.inQuery) putIntoQuery(session);
  } finally {
    source.close();
    session.renewal = null;
  }
}
