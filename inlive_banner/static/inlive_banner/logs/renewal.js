/** The page as the server renders it now: its log takes the place of the shown one, or gives single numbers to it. */

/** The reader may see the log no longer: signing in may help, asking again won't. */
export class RefusedError extends Error {}

const ROOT = "[data-inlive-logs]";
const MARKED = "data-inlive-refresh";

/**
 * Fetches this page anew, and finds the same log in it.
 *
 * @param {HTMLElement} root
 * @returns {Promise<HTMLElement>} Of another document: nothing in it has run.
 * @throws {RefusedError} Where the site no longer shows it.
 * @throws {Error} Where the site can't be reached, or fails.
 */
export async function fetchRoot(root) {
  const place = [...document.querySelectorAll(ROOT)].indexOf(root);
  const response = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
  if (response.status === 401 || response.status === 403) throw new RefusedError();
  if (!response.ok) throw new Error(`The page was answered with ${response.status}.`);
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const found = /** @type {HTMLElement | undefined} */ (fresh.querySelectorAll(ROOT)[place]);
  // A page without it is the one to sign in on, to which the site has led us, or one that says why not.
  if (!found || found.dataset.inliveStream !== root.dataset.inliveStream) throw new RefusedError();
  for (const script of found.querySelectorAll("script")) script.remove();
  return found;
}

/**
 * Puts all of the fresh log into the shown one.
 *
 * @param {HTMLElement} root
 * @param {HTMLElement} fresh
 * @returns {() => void} Gives the focus back to what had it, to be called when the script has shown what it shows.
 */
export function replaceAll(root, fresh) {
  const focused = selectorOf(root, document.activeElement);
  for (const name of root.getAttributeNames()) if (!fresh.hasAttribute(name)) root.removeAttribute(name);
  for (const name of fresh.getAttributeNames()) root.setAttribute(name, fresh.getAttribute(name) ?? "");
  root.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
  return () => {
    // What had the focus may have gone, or be hidden now: the rows are next to it.
    for (const selector of focused ? [focused, "[role=log]"] : []) {
      if (root.contains(document.activeElement)) return;
      /** @type {HTMLElement | null} */ (root.querySelector(selector))?.focus({ preventScroll: true });
    }
  };
}

/**
 * Whether the log has numbers that can't be counted live.
 *
 * @param {HTMLElement} root
 */
export const hasMarked = (root) => root.querySelector(`[${MARKED}]`) !== null;

/**
 * Puts the fresh numbers that can't be counted live into the shown log.
 *
 * @param {HTMLElement} root
 * @param {HTMLElement} fresh
 */
export function replaceMarked(root, fresh) {
  for (const old of root.querySelectorAll(`[${MARKED}]`)) {
    const marked = fresh.querySelector(`[${MARKED}="${CSS.escape(old.getAttribute(MARKED) ?? "")}"]`);
    if (marked && !old.contains(document.activeElement)) old.replaceWith(document.importNode(marked, true));
  }
}

/**
 * What finds an element of the log again in the next rendering of it; "" for one that isn't in the log.
 *
 * @param {HTMLElement} root
 * @param {Element | null} element
 */
function selectorOf(root, element) {
  if (!element || !root.contains(element) || element === root) return "";
  if (element.id) return `#${CSS.escape(element.id)}`;
  const names = element.getAttributeNames();
  const name = names.find((each) => each.startsWith("data-inlive-")) ?? names.find((each) => each === "name");
  if (name) return `${element.localName}[${name}="${CSS.escape(element.getAttribute(name) ?? "")}"]`;
  return [element.localName, ...element.classList].map((part) => CSS.escape(part)).join(".");
}
