/**
 * Tells the channel about clicks on banners: elements with `data-inlive-banner`, now on the page or added later.
 *
 * The visitor is never kept waiting: a click is written to storage and posted with `keepalive`, both before its
 * handler returns, and the browser goes on as if this script weren't there. The stored copy is removed when the
 * channel's 200 arrives. A page that is left before then never sees that answer, so the next page with a banner
 * posts the click again; its `publish_id` makes that harmless, because the channel stores each id once.
 *
 * This is all that most pages need, and at most 1,000 bytes as it is served. For whatever else happens to a click
 * there is retry.js, loaded when it is first needed: no 200, no token, something kept by an earlier page.
 *
 * Attributes: data-inlive-banner (the banner's name), -stream, -widget-key, -channel ("/channel"), -token.
 * data-inlive-href is where a link really leads whose href is a redirect that counts, for visitors without scripts:
 * what is recorded here goes there directly, and isn't counted twice. It begins with http or a slash.
 * A banner with data-inlive-consent is left alone until that attribute is taken away; consent.js does that.
 * On the script's own tag: data-inlive-retry, the address of retry.js if it isn't beside this file. Never on a
 * banner: those who may write an attribute into a page's text mustn't choose what code it runs.
 * Events on the banner, or on the document for what an earlier page or try has left; they bubble:
 * `inlive:published` {name, action, publishId, data} and `inlive:failed` {name, action, publishId, reason, kept},
 * beside what else was in the message.
 * A script that wants more than clicks recorded dispatches `inlive:action` on a banner, bubbling. Its detail goes
 * into the message: {action: "share"}, or another {name} than the banner's. The message tells whether the event was
 * the browser's own (`isTrusted`), so a script that acts for a visitor puts isTrusted: true into the detail.
 *
 * Beside it may stand, each for sites that use it: views.js, consent.js and actions.js.
 */

/**
 * @typedef {object} Session What the page knows of one stream.
 * @property {string} url Where to publish.
 * @property {string} [token] Allows to publish; empty where one must be fetched.
 * @property {string} [user_id] The visitor, as the channel calls them; unknown under a page token.
 *
 * @typedef {{data?: object, reason?: string, kept?: boolean}} Outcome What became of a publish, for its event.
 */

/** Kept publishes, at most; the oldest leave. At about 300 bytes each they never fill a site's storage. */
const MAX_KEPT = 50;
/** Begins the storage key of each kept publish. Its publish_id follows, which begins with the time of the click. */
const PREFIX = "inlive-banner:";

/**
 * What retry.js is handed, since an import of this file by another name than its own would run it a second time.
 *
 * `kept` is what is to be sent: key -> JSON of [URL, body]. Storage and its stand-in are used by property access
 * alike. Each kept publish is locked by its key while a page sends it, so that two tabs don't send the same; from
 * plain http there are no `locks`, and they may, which is harmless. Beside these stand, by publish URL, the
 * sessions, and by key the promises of what this page has begun to send.
 *
 * @type {Record<string, any>}
 */
const core = { kept: {}, send };
/** Counts in vain loaded retry.js. Part of its address: many browsers remember a failed import for ever. */
let failures = 0;

try {
  core.kept = localStorage || {}; // It is null in some apps' built-in browsers.
  core.locks = navigator.locks;
} catch {
  // Storage is denied: what is kept lives as long as the page, and no other page can see it.
}

/** Sends what earlier pages, or this one, couldn't. */
function wake() {
  if (keys()[0]) retry();
}

/** @returns {string[]} The keys of what is kept, oldest first. */
function keys() {
  return Object.keys(core.kept)
    .filter((key) => key.startsWith(PREFIX))
    .sort();
}

/** @param {any} event A click, or an `inlive:action`. */
function record(event) {
  const banner = event.target.closest?.("[data-inlive-banner]");
  const data = banner?.dataset;
  // `click` is the main button or the keyboard; of the other buttons, `auxclick`, only the middle one opens a link.
  if (!data || event.button > 1 || "inliveConsent" in data) return;
  const url = (data.inliveChannel ?? "/channel") + "/publish/" + data.inliveStream;
  const time = Date.now();
  // Ids that grow with time keep every index on them local, and sort what is kept by its age. What follows is
  // random, and whole: browsers' random numbers are multiples of 2 ** -53.
  const publish_id = time + "-" + 2 ** 53 * Math.random();
  const key = PREFIX + publish_id;
  const body = {
    publish_id,
    type: "broadcast",
    widget_key: data.inliveWidgetKey,
    message: {
      name: data.inliveBanner,
      type: "banner",
      webdriver: navigator.webdriver,
      time,
      action: "click",
      page: location.pathname,
      isTrusted: event.isTrusted,
      ...banner.inlive, // What the modules beside this one have to say of its next click.
      // The detail of a click is a number, and adds nothing.
      ...event.detail,
    },
  };
  // The browser reads href after this handler. Checked, since a page's text that may have no javascript: in its href
  // may well have it in this attribute.
  if (/^http|^\//.test(data.inliveHref)) banner.href = data.inliveHref;
  while (keys()[MAX_KEPT - 1]) delete core.kept[keys()[0]];
  try {
    core.kept[key] = JSON.stringify([url, body]);
  } catch {
    core.kept = { [key]: JSON.stringify([url, body]) }; // Storage is full: go on as where it is denied.
  }
  core[key] = send(key, banner, (core[url] ||= { url, token: data.inliveToken }), body);
  core.locks?.request(key, () => core[key]);
}

/**
 * @param {any[]} attempt What came of a post; nothing where what is kept is to be sent.
 * @returns {Promise<Outcome | undefined>} Nothing where it is worth posting again at once.
 */
async function retry(...attempt) {
  try {
    const module = await import(
      (/** @type {HTMLElement | null} */ (document.querySelector("script[data-inlive-retry]"))?.dataset.inliveRetry ||
        "./retry.js") +
        "#" +
        failures
    );
    return module.retry(core, ...attempt);
  } catch (error) {
    failures++;
    return { kept: true, reason: `${error}` };
  }
}

/**
 * Posts one kept publish, with retry.js's help where that doesn't go well, and tells the page how it went.
 * The post is begun before this function first waits.
 *
 * @param {string} key
 * @param {Element | Document} target Where the event is dispatched.
 * @param {Session} session
 * @param {Record<string, any>} body
 */
async function send(key, target, session, body) {
  /** @type {Outcome | undefined} */
  let outcome;
  do {
    const token = session.token;
    let response, answer;
    // Under a page token the channel makes the visitor's id and fills it in.
    body.message.user_id ||= session.user_id;
    try {
      response = /** @type {Response} */ (
        // Without a token there is nothing to post with yet, and no response to read.
        await (token &&
          fetch(session.url, {
            keepalive: true,
            body: JSON.stringify(body),
            method: "POST",
            headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
          }))
      );
      // What isn't JSON isn't the channel's: a proxy's error page, or a hotel's sign-in page with status 200.
      answer = await response.json();
      if (answer.code === 200) {
        outcome = { data: { ...answer.data } };
        // Of several clicks that were under way with the page token, the first answer says who the visitor is.
        session.user_id || Object.assign(session, answer.data);
      }
    } catch (error) {
      response ||= /** @type {any} */ (error); // Nobody has answered; or somebody who isn't the channel.
    }
    outcome ||= await retry(session, body, response, answer, token);
  } while (!outcome);
  outcome.kept || delete core.kept[key];
  (target.isConnected ? target : document).dispatchEvent(
    new CustomEvent(outcome.data ? "inlive:published" : "inlive:failed", {
      bubbles: true,
      detail: { ...body.message, publishId: body.publish_id, ...outcome },
    }),
  );
}

// In the capture phase: banners that come later count, and so do those whose own handlers stop the event.
addEventListener("click", record, true);
addEventListener("auxclick", record, true);
addEventListener("inlive:action", record, true);
addEventListener("online", wake);
wake();
