/** Numbers and times as the page has them: in its own language, which the server has rendered it in. */

/**
 * @param {HTMLElement} root
 * @returns {string | undefined} The page's language as the reader's region has it, where the browser says so.
 */
function languageOf(root) {
  const language = /** @type {HTMLElement | null} */ (root.closest("[lang]"))?.lang;
  return navigator.languages.find((own) => language && own.startsWith(language)) ?? (language || undefined);
}

/**
 * @param {HTMLElement} root
 * @returns {Intl.NumberFormat} With the digits that the server writes, in every language.
 */
export function numberFormat(root) {
  try {
    return new Intl.NumberFormat(languageOf(root), { numberingSystem: "latn" });
  } catch {
    return new Intl.NumberFormat(); // no language that the browser can read
  }
}

/**
 * @param {HTMLElement} root
 * @param {Intl.DateTimeFormatOptions} options
 * @returns {Intl.DateTimeFormat} In the zone of the browser.
 */
export function timeFormat(root, options) {
  try {
    return new Intl.DateTimeFormat(languageOf(root), { ...options, numberingSystem: "latn" });
  } catch {
    return new Intl.DateTimeFormat(undefined, options);
  }
}
