/**
 * Tells the channel which banners were seen: half of one, for a second, in a tab that was in front.
 *
 * For sites that want a click rate. Each banner with data-inlive-views is counted once per page view, banners that come later too; a page
 * that comes back from the browser's back/forward cache is viewed again. Where a banner is larger than the window,
 * half of the window will do. A banner under data-inlive-consent isn't watched until that attribute is taken away.
 *
 * A view is published by banner.js as a click is, with the action `view`. Where the channel can't take it, the page
 * tries again, but for as long as it is open only, and for a few views at a time: they mustn't take the place of
 * clicks that are kept for later pages. When the channel has it, the banner's first click from then on carries
 * `viewed: true`, and no other one does, so that the clicks among the views are never more than the views.
 *
 * On the page: `<script type="module" src="…/views.js">`, beside banner.js's own tag.
 */

const BANNER = "[data-inlive-banner][data-inlive-views]";
/** Milliseconds that a banner has to be in sight without a break. */
const LONG_ENOUGH = 1e3;
/** Views, at most, that wait to be sent again: a fifth of what banner.js keeps. */
const MOST_WAITING = 10;
/** Begins the storage key of each kept publish, as in banner.js. */
const PREFIX = "inlive-banner:";
/** Where the browser looks again: at each hundredth up to a half, since half a window is a small part of what is tall. */
const THRESHOLDS = Array.from({ length: 51 }, (_, hundredth) => hundredth / 100);

/** @type {Set<HTMLElement>} Banners that are in sight now, if the tab is. */
const inSight = new Set();
/** @type {Map<HTMLElement, number>} Their timers, while the tab is in front. */
const timers = new Map();
/** @type {WeakSet<HTMLElement>} Banners whose view has been told, in this page view. */
let told = new WeakSet();
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
    if (!timers.has(banner) && !told.has(banner)) timers.set(banner, setTimeout(tell, LONG_ENOUGH, banner));
  }
}

/** @param {HTMLElement} banner Has been seen. */
function tell(banner) {
  timers.delete(banner);
  told.add(banner);
  // No event of the visitor's stands behind it, and none is needed: it says what was on their screen.
  const detail = { action: "view", isTrusted: true };
  banner.dispatchEvent(new CustomEvent("inlive:action", { bubbles: true, detail }));
}

/** @param {ParentNode & Node} root Watches the banners in it, and itself if it is one. */
function watch(root) {
  const banners = /** @type {HTMLElement[]} */ ([...root.querySelectorAll(BANNER)]);
  if (root instanceof HTMLElement && root.matches(BANNER)) banners.push(root);
  for (const banner of banners) {
    if (!("inliveConsent" in banner.dataset)) {
      sight.observe(banner);
      continue;
    }
    sight.unobserve(banner);
    inSight.delete(banner);
  }
  setTimers();
}

/** @param {any} event The core tells what became of a view. */
function mark({ target, detail: { action, publishId, kept, data } }) {
  if (action !== "view") return;
  // What is sent again by the page is told on the document.
  const banner = waiting.get(publishId) ?? target;
  waiting.delete(publishId);
  if (data && banner !== document) banner.inlive = { ...banner.inlive, viewed: true };
  else if (kept) waiting.set(publishId, banner);
  if (waiting.size > MOST_WAITING) drop([...waiting.keys()][0]);
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
