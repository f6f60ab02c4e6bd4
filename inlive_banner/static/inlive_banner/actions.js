/**
 * Records what else visitors do with a page: downloads, shares, sign-ups.
 *
 * Without a line of script: `<a href="list.pdf" data-inlive-action="download">`. A click on such an element, by the
 * main or the middle button or the keyboard, records that action. It counts for the name in its data-inlive-name,
 * else for the banner around it, else for the one that this module's own tag names. An element that is a banner
 * itself has one record of a click on it, with that action in the place of `click`; one inside a banner has both.
 *
 * From a script: `inlive.track(name, action, extra)`, whose promise resolves with what `inlive:published` tells, or
 * rejects with an error whose `detail` is what `inlive:failed` tells. `inlive:ready` on the document says that it is
 * there. A module script below this module's tag can use it at once; one that may run before waits for that:
 *
 *     const greet = () => inlive.track("newsletter", "sign-up", { list: "weekly" });
 *     window.inlive ? greet() : addEventListener("inlive:ready", greet, { once: true });
 *
 * On the page: `<script type="module" src="…/actions.js">`, beside banner.js's own tag. Where there is no banner, or no
 * name, that tag is what actions are recorded with, and needs a banner's attributes: data-inlive-banner (the name where no
 * other is given), -stream, -widget-key, -channel, -token; and data-inlive-consent where the site asks for consent.
 */

const BANNER = "[data-inlive-banner]";
const ACTION = "[data-inlive-action]";
/** Characters, at most, of an action and of a name, as the channel and the tables have it. */
const LONGEST_ACTION = 64;
const LONGEST_NAME = 200;
/** In the detail of an `inlive:action`: the promise to settle. JSON passes over it; the outcome's event has it again. */
const PROMISE = Symbol("promise");

/**
 * @param {string} name What it is about: a banner's name, or any other. 1 to 200 characters.
 * @param {string} action What was done: a verb of 1 to 64 characters.
 * @param {object} [extra] More for the message, as its `extra`: whatever is JSON.
 * @returns {Promise<object>} The detail of its `inlive:published`. Rejects with an error that says why, whose
 *   `detail` is that of its `inlive:failed`: where `kept` is true there, it is sent later.
 * @throws {TypeError} For arguments that can't be recorded.
 */
function track(name, action, extra) {
  check("name", name, LONGEST_NAME);
  check("action", action, LONGEST_ACTION);
  if (extra !== undefined && (typeof extra !== "object" || !extra || Array.isArray(extra))) {
    throw new TypeError(`inlive.track: extra is ${JSON.stringify(extra)}; give it an object, or leave it out.`);
  }
  const more = extra ? { extra: JSON.parse(JSON.stringify(extra)) } : {};
  const outcome = new Promise((resolve, reject) => {
    const carrier = findCarrier(true);
    const conclude = (/** @type {any} */ detail) =>
      detail.data ? resolve(detail) : reject(Object.assign(new Error(detail.reason), { detail }));
    // No event stands behind a script's call; that it is a script's is no sign of a machine in the visitor's place.
    if (carrier && record(carrier, { ...more, name, action, isTrusted: true, [PROMISE]: conclude })) return;
    const reason = carrier
      ? "The visitor hasn't agreed, or banner.js isn't there."
      : "There is no banner on the page, and the tag of actions.js has no data-inlive-banner.";
    conclude({ ...more, name, action, reason: `Not recorded: ${reason}`, kept: false });
  });
  outcome.catch(() => {}); // banner.js has said it on the console: who doesn't care needn't catch it.
  return outcome;
}

/** @param {string} argument @param {unknown} value @param {number} longest */
function check(argument, value, longest) {
  if (typeof value === "string" && value.trim() && [...value].length <= longest) return;
  throw new TypeError(`inlive.track: ${argument} is ${JSON.stringify(value)}; give it text of 1 to ${longest} characters.`);
}

/**
 * @param {boolean} named Whether the action has a name of its own: with that, any banner's stream will do.
 * @returns {Element | null} What an action that belongs to no banner is recorded with.
 */
function findCarrier(named) {
  return document.querySelector(`script${BANNER}`) ?? (named ? document.querySelector(BANNER) : null);
}

/**
 * @param {Element} target
 * @param {Record<PropertyKey, any>} detail
 * @returns {boolean} Whether banner.js has taken it.
 */
function record(target, { action, ...detail }) {
  let taken = false;
  const read = {
    ...detail,
    viewed: undefined, // That is for the banner's next click.
    get action() {
      taken = true;
      return action;
    },
  };
  target.dispatchEvent(new CustomEvent("inlive:action", { bubbles: true, detail: read }));
  return taken;
}

/** @param {any} event A click. */
function recordClick({ target, button, isTrusted }) {
  /** @type {HTMLElement | null | undefined} */
  const element = target.closest?.(ACTION);
  // A banner's own click banner.js records, with what `nameActions` has given it.
  if (!element || button > 1 || element.matches(BANNER)) return;
  const { inliveAction: action, inliveName: name } = element.dataset;
  if (!action) return;
  const carrier = element.closest(BANNER) ? element : findCarrier(!!name);
  if (carrier) record(carrier, { action, ...(name && { name }), isTrusted });
  else console.error("inlive-banner: no name for the action", action, "on", element);
}

/** Has banner.js record the clicks on banners that name an action as that action. */
function nameActions() {
  for (const banner of document.querySelectorAll(BANNER + ACTION)) {
    const { inliveAction: action } = /** @type {HTMLElement} */ (banner).dataset;
    if (action) /** @type {any} */ (banner).inlive = { .../** @type {any} */ (banner).inlive, action };
  }
}

/** @param {any} event */
function settle({ detail }) {
  detail[PROMISE]?.(detail);
}

addEventListener("click", recordClick, true);
addEventListener("auxclick", recordClick, true);
addEventListener("inlive:published", settle, true);
addEventListener("inlive:failed", settle, true);
new MutationObserver(nameActions).observe(document, {
  subtree: true,
  childList: true,
  attributeFilter: ["data-inlive-action", "data-inlive-banner"],
});
nameActions();
/** @type {any} */ (window).inlive = { track };
document.dispatchEvent(new CustomEvent("inlive:ready", { bubbles: true }));
