/**
 * Tells the channel which banners were seen: half of one, for a second, in a tab that was in front.
 *
 * For sites that want a click rate. Each banner with data-inlive-views is counted once per page view, banners that
 * come later too. An element that gets another name is another banner, as often as it does. A page that comes back
 * from the browser's back/forward cache is viewed again. Where a banner is larger than the window, half of the window
 * will do. A banner under data-inlive-consent isn't watched until that attribute is taken away.
 *
 * A view is published by banner.js as a click is, with the action `view`. Where the channel can't take it, the page
 * tries again, but for as long as it is open only. It tells a few views at a time, and the next ones when it has an
 * answer: they mustn't take the place of clicks that are kept for later pages. When the channel has it, the banner's first click from then on carries
 * `viewed: true`, and no other one does, so that the clicks among the views are never more than the views.
 *
 * On the page: `<script type="module" src="…/views.js">`, beside banner.js's own tag.
 */

const BANNER = "[data-inlive-banner][data-inlive-views]";
/** Milliseconds that a banner has to be in sight without a break. */
const LONG_ENOUGH = 1e3;
/** Views, at most, that are under way or wait to be sent again: a fifth of what banner.js keeps. */
const MOST_TOLD = 10;
/** Begins the storage key of each kept publish, as in banner.js. */
const PREFIX = "inlive-banner:";
/** Leads from a view's message, which has it from banner.js's copying, to the view. JSON passes over it. */
const VIEW = Symbol("view");
/** Where the browser looks again: at each hundredth up to a half, since half a window is a small part of what is tall. */
const THRESHOLDS = Array.from({ length: 51 }, (_, hundredth) => hundredth / 100);

/** @type {Set<HTMLElement>} Banners that are in sight now, if the tab is. */
const inSight = new Set();
/** @type {Map<HTMLElement, number>} Their timers, while the tab is in front. */
const timers = new Map();
/** @type {WeakSet<HTMLElement>} Banners whose view has been told, in this page view. */
let told = new WeakSet();
/** @type {WeakMap<HTMLElement, string | undefined>} The name that each banner had when it was last looked at. */
const names = new WeakMap();
/** @type {{banner: HTMLElement, name?: string, time: number}[]} Views that are still to be told, oldest first. */
const untold = [];
/** @type {Set<any>} Views that were told, and whose first answer is still to come. */
const underWay = new Set();
/** @type {Map<string, HTMLElement>} By publish_id: banners whose view has to be sent again. */
const waiting = new Map();

const sight = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const banner = /** @type {HTMLElement} */ (entry.target);
      if (isHalfVisible(entry)) inSight.add(banner);
      else inSight.delete(banner);
    }
    setTimers();
  },
  { threshold: THRESHOLDS },
);

/** @param {IntersectionObserverEntry} entry */
function isHalfVisible({ isIntersecting, boundingClientRect: whole, intersectionRect: part, rootBounds }) {
  // Of a page of another origin around this one, the browser doesn't tell the size.
  const height = Math.min(whole.height, rootBounds?.height ?? whole.height);
  const width = Math.min(whole.width, rootBounds?.width ?? whole.width);
  const area = height * width;
  // The browser's own figures are rounded to fractions of a pixel.
  return isIntersecting && area > 0 && part.width * part.height >= area * 0.499;
}

/** Lets each banner in sight have its timer, and no other. */
function setTimers() {
  const visible = document.visibilityState === "visible";
  for (const [banner, timer] of timers) {
    if (visible && inSight.has(banner)) continue;
    clearTimeout(timer);
    timers.delete(banner);
  }
  if (!visible) return;
  for (const banner of inSight) {
    if (!timers.has(banner) && !told.has(banner)) timers.set(banner, setTimeout(see, LONG_ENOUGH, banner));
  }
}

/** @param {HTMLElement} banner Has been seen. */
function see(banner) {
  timers.delete(banner);
  told.add(banner);
  untold.push({ banner, name: banner.dataset.inliveBanner, time: Date.now() });
  tell();
}

/** Tells as many views as there is room for. */
function tell() {
  // What is no longer kept has been sent by another tab, or has made room for clicks, or the consent has gone.
  for (const id of waiting.keys()) if (!isKept(id)) waiting.delete(id);
  while (untold[0] && underWay.size + waiting.size < MOST_TOLD) {
    const view = /** @type {typeof untold[0]} */ (untold.shift());
    const { banner, name, time } = view;
    // No event of the visitor's stands behind it, and none is needed: it says what was on their screen.
    const detail = {
      action: "view",
      isTrusted: true,
      name,
      time,
      // Read where banner.js records it, and only there: it doesn't for a banner that has gone, or without consent.
      get [VIEW]() {
        underWay.add(view);
        return view;
      },
    };
    banner.dispatchEvent(new CustomEvent("inlive:action", { bubbles: true, detail }));
  }
}

/** @param {string} id */
function isKept(id) {
  try {
    return PREFIX + id in localStorage;
  } catch {
    return true; // Storage is denied: banner.js keeps it in memory.
  }
}

/** @param {ParentNode & Node} root Watches the banners in it, and itself if it is one. */
function watch(root) {
  const banners = /** @type {HTMLElement[]} */ ([...root.querySelectorAll(BANNER)]);
  if (root instanceof HTMLElement && root.matches(BANNER)) banners.push(root);
  for (const banner of banners) {
    if (names.get(banner) !== banner.dataset.inliveBanner) startAnew(banner);
    if (!("inliveConsent" in banner.dataset)) {
      sight.observe(banner);
      continue;
    }
    sight.unobserve(banner);
    inSight.delete(banner);
  }
  setTimers();
}

/** @param {HTMLElement} banner Is another one now, as in a carousel: what was so of the one before isn't of this. */
function startAnew(banner) {
  names.set(banner, banner.dataset.inliveBanner);
  clearTimeout(timers.get(banner));
  timers.delete(banner);
  told.delete(banner);
  delete (/** @type {any} */ (banner).inlive?.viewed);
}

/** @param {any} event The core tells what became of a view. */
function mark({ target, detail: { action, name, publishId, kept, data, [VIEW]: view } }) {
  if (action !== "view") return;
  underWay.delete(view);
  // What is sent again by the page is told on the document, and so is what has left the page.
  const banner = waiting.get(publishId) ?? view?.banner ?? target;
  waiting.delete(publishId);
  // Meanwhile the element may have become another banner.
  if (data && banner.dataset?.inliveBanner === name) banner.inlive = { ...banner.inlive, viewed: true };
  else if (kept) waiting.set(publishId, banner);
  // An earlier page's, of which this one has heard, count too.
  if (underWay.size + waiting.size > MOST_TOLD) drop([...waiting.keys()][0]);
  tell();
}

/** @param {string} id Of a view that won't be sent. */
function drop(id) {
  waiting.delete(id);
  try {
    localStorage.removeItem(PREFIX + id);
  } catch {
    // Storage is denied: banner.js keeps it in memory, and sends it if the page stays long enough.
  }
}

/** @param {any} event A click, which banner.js has recorded by now: it was there when the view was told. */
function unmark({ target, button }) {
  const banner = target.closest?.(BANNER);
  if (banner?.inlive && button < 2) delete banner.inlive.viewed;
}

/** @param {PageTransitionEvent} event */
function viewAgain({ persisted }) {
  if (!persisted) return;
  told = new WeakSet();
  setTimers();
}

/** The page is left. A view whose answer is still to come isn't among these: the next page sends it again. */
function dropAll() {
  untold.length = 0;
  for (const id of [...waiting.keys()]) drop(id);
}

new MutationObserver((records) => {
  for (const { type, target, addedNodes } of records) {
    const changed = type === "attributes" ? [target] : addedNodes;
    for (const node of changed) if (node instanceof Element) watch(node);
  }
}).observe(document, {
  subtree: true,
  childList: true,
  attributeFilter: ["data-inlive-banner", "data-inlive-consent", "data-inlive-views"],
});
addEventListener("inlive:published", mark, true);
addEventListener("inlive:failed", mark, true);
addEventListener("click", unmark, true);
addEventListener("auxclick", unmark, true);
addEventListener("pageshow", viewAgain);
addEventListener("pagehide", dropAll);
document.addEventListener("visibilitychange", setTimers);
watch(document);
