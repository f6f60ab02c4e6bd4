/** What a broadcast means: an interaction with a banner, or nothing that a log shows. */

/**
 * @typedef {{name: string, action: string, user_id: string, time: number, page: string}} Interaction
 * @typedef {Interaction & {publishId: string, label: string, receivedAt: number}} Row An interaction as pages show it.
 *   The label says why it isn't a person's; "" where it is. Times are Unix milliseconds: `time` by the visitor's
 *   clock, for display only, `receivedAt` by the channel's, or by ours where the channel names none.
 */

/** The action that the counter counts. */
export const COUNTED = "click";
/** Counted by the worker and shown by no page: so many that they would drive the clicks out. */
export const VIEW = "view";
/** An action is a verb such as `click`: the channel's limit, in characters. */
const MAX_ACTION_LENGTH = 64;

/**
 * Says what a broadcast's message means: an interaction with a banner, or null for anything else.
 *
 * The twin of `read_interaction` in envelope.py; one table of cases tests both. The channel's own decision comes
 * first: this one counts only for a server that speaks the original protocol and makes none.
 *
 * @param {any} message
 * @returns {Interaction | null}
 */
export function readInteraction(message) {
  if (message?.type !== "banner") return null;
  const { action, time } = message;
  const userId = Number.isInteger(message.user_id) ? String(message.user_id) : message.user_id;
  if (typeof action !== "string" || !action || [...action].length > MAX_ACTION_LENGTH) return null;
  if (typeof userId !== "string" || !userId || typeof time !== "number") return null;
  return { name: text(message.name), action, user_id: userId, time, page: text(message.page) };
}

/**
 * The row of a broadcast's envelope, or null where pages show none.
 *
 * @param {any} envelope
 * @param {boolean} decided Whether the channel says in `interaction` what an envelope is; else we decide.
 * @returns {Row | null}
 */
export function readRow({ message, interaction, label, publish_id: publishId, received_at: received }, decided) {
  const row = readInteraction(message);
  if (!row || (decided && !interaction) || (interaction || row.action) === VIEW) return null;
  const receivedAt = typeof received === "number" ? received : Date.now();
  // The visitor's clock can be beyond what a date can be; the channel's can't.
  const time = isNaN(new Date(row.time).valueOf()) ? receivedAt : row.time;
  return { ...row, time, publishId: text(publishId), label: text(label), receivedAt };
}

/**
 * What a row shows, as a key. Tells clicks apart where there are no ids.
 *
 * @param {Interaction | null} row
 */
export const keyOf = (row) => row && JSON.stringify([row.name, row.action, row.user_id, row.page, row.time]);

/** @param {unknown} value */
const text = (value) => (typeof value === "string" ? value : "");
