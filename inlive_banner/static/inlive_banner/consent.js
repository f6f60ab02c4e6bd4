/**
 * Lets banners wait for the visitor's consent: nothing is stored, and nothing sent, before they have agreed.
 *
 * A banner that is rendered with `data-inlive-consent` is left alone by the other scripts, and so is what an earlier
 * page has kept to be sent, as long as the attribute is anywhere on the page. This module takes it away, from
 * banners that come later too, when the site says so:
 *
 *     document.dispatchEvent(new CustomEvent("inlive:consent"));                                // they have agreed
 *     document.dispatchEvent(new CustomEvent("inlive:consent", { detail: { granted: false } })); // no longer
 *
 * It remembers nothing itself. The site's own consent tool knows, and says so again on each page; or the server
 * knows, and renders `<html data-inlive-consent-given>`. When a consent is withdrawn, the banners get their attribute
 * back, and what is still kept to be sent is deleted.
 *
 * On the page: `<script type="module" src="…/consent.js" data-inlive-consent>`, beside banner.js's own tag. With the
 * attribute on that tag too, a page that has no banner yet sends nothing either.
 */

const WAITING = "data-inlive-consent";
/** Stands in place of the other attribute as long as consent is given, so that withdrawing it finds them all. */
const AGREED = "data-inlive-consented";
/** Begins the storage key of each kept publish, as in banner.js. */
const PREFIX = "inlive-banner:";

let granted = false;

/** @param {ParentNode} root Takes the attribute away from, or puts it back on, all in it. */
function apply(root) {
  const [old, now] = granted ? [WAITING, AGREED] : [AGREED, WAITING];
  for (const element of root.querySelectorAll(`[${old}]`)) {
    element.setAttribute(now, element.getAttribute(old) ?? "");
    element.removeAttribute(old);
  }
}

/** @param {boolean} value */
function set(value) {
  granted = value;
  apply(document);
  if (!granted) forget();
  // For retry.js, which has no other way to know that the attributes are as they should be by now.
  document.dispatchEvent(new CustomEvent("inlive:consented", { detail: { granted } }));
}

/** Deletes what is kept to be sent. */
function forget() {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
  } catch {
    // Storage is denied, so there is nothing in it.
  }
}

// Only elements that come with the attribute need it: taking it away is what the observer would see next.
new MutationObserver(() => granted && apply(document)).observe(document, {
  subtree: true,
  childList: true,
  attributeFilter: [WAITING],
});
document.addEventListener("inlive:consent", (event) => {
  set(/** @type {CustomEvent} */ (event).detail?.granted ?? true);
});
if ("inliveConsentGiven" in document.documentElement.dataset) set(true);
