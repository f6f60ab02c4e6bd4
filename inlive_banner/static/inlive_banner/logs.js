/**
 * Keeps rendered logs live: each element with `data-inlive-logs` goes on from the position it was rendered at.
 *
 * `data-inlive-logs` is "live", "older" for a page of older rows, or "past" for a period that is over: the last two
 * stand still, and only their times are put into the reader's zone. What comes from outside becomes text only, never
 * markup.
 */

import { LogsPage } from "./logs/page.js";

export { readInteraction } from "./logs/interaction.js";

/** Milliseconds between two looks at the clock. */
const TICK = 15_000;
/** Milliseconds between two ticks after which the machine must have slept; a hidden tab's timers are late anyway. */
const SLEPT = 45_000;
const SLEPT_HIDDEN = 150_000;

const roots = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-inlive-logs]"));
const pages = [...roots].map((root) => new LogsPage(root));

const check = (/** @type {boolean} */ isDoubtful) => {
  for (const page of pages) page.check(isDoubtful);
};

let lastTick = Date.now();
let wasHidden = document.hidden;
setInterval(() => {
  const passed = Date.now() - lastTick;
  const isHidden = document.hidden;
  if (passed > (wasHidden || isHidden ? SLEPT_HIDDEN : SLEPT)) check(true);
  lastTick += passed;
  wasHidden = isHidden;
}, TICK);

document.addEventListener("visibilitychange", () => document.hidden || check(false));
addEventListener("online", () => check(true));
// A page in the back/forward cache holds no connection, and goes on from its position when it is shown again.
addEventListener("pagehide", () => {
  for (const page of pages) page.close();
});
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const page of pages) page.open();
});
