/** The reader's time zone: days begin and end in it. */

/**
 * Has the log's links and its form name the reader's zone, where the page was rendered in another and names none.
 *
 * @param {HTMLElement} root
 */
export function nameZone(root) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const rendered = root.dataset.inliveZone;
  if (!zone || !rendered || new URL(location.href).searchParams.has("tz") || !differ(zone, rendered)) return;
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (root.querySelectorAll("a[href*='?']"))) {
    const address = new URL(link.href);
    address.searchParams.set("tz", zone);
    link.href = address.href;
  }
  for (const form of root.querySelectorAll("form:not(:has([name=tz]))")) {
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name: "tz", value: zone });
    form.append(input);
  }
}

/** @param {string} one @param {string} other @returns {boolean} Whether their clocks differ, now or half a year ago. */
function differ(one, other) {
  const format = (/** @type {string} */ timeZone, /** @type {number} */ moment) =>
    new Intl.DateTimeFormat("en", { timeZone, dateStyle: "short", timeStyle: "short" }).format(moment);
  const moments = [Date.now(), Date.now() - 182 * 86400e3];
  try {
    return moments.some((moment) => format(one, moment) !== format(other, moment));
  } catch {
    return true; // the server knows a zone that this browser doesn't
  }
}
