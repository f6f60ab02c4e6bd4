/** Numbers as the page has them: in its own language, which the server has rendered it in. */

/**
 * @param {HTMLElement} root
 * @returns {Intl.NumberFormat} With the digits that the server writes, in every language.
 */
export function numberFormat(root) {
  const language = /** @type {HTMLElement | null} */ (root.closest("[lang]"))?.lang;
  try {
    return new Intl.NumberFormat(language || undefined, { numberingSystem: "latn" });
  } catch {
    return new Intl.NumberFormat(); // no language that the browser can read
  }
}
