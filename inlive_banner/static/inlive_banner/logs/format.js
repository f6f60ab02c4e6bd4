/** Numbers and times as the page has them: in its own language, which the server has rendered it in. */

/**
 * @param {HTMLElement} root
 * @returns {string | undefined} The page's language as the reader's region has it, where the browser says so.
 */
function languageOf(root) {
  const language = /** @type {HTMLElement | null} */ (root.closest("[lang]"))?.lang.toLowerCase();
  if (!language) return undefined;
  return navigator.languages.find((own) => own.toLowerCase().startsWith(language)) ?? language;
}

/**
 * @param {HTMLElement} root
 * @returns {{format: (number: number) => string}} Whole numbers, with the digits that the server writes in every
 *   language, and set apart by what it sets them apart by: its formats aren't always the browser's.
 */
export function numberFormat(root) {
  const options = { numberingSystem: "latn", useGrouping: true };
  const separator = root.dataset.inliveThousand?.slice(1, -3);
  let format;
  try {
    format = new Intl.NumberFormat(languageOf(root), options);
  } catch {
    format = new Intl.NumberFormat(undefined, options); // no language that the browser can read
  }
  const written = (/** @type {Intl.NumberFormatPart} */ part) =>
    part.type === "group" ? (separator ?? part.value) : part.value;
  return { format: (number) => format.formatToParts(number).map(written).join("") };
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
