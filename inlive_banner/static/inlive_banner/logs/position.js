/** Places in the channel's log: `<epoch>-<number>`, and `0` before the oldest, of whatever epoch. */

/**
 * @param {unknown} text
 * @returns {{epoch: string, number: number} | null} Null for `0`, and for what is no position.
 */
export function parsePosition(text) {
  const found = typeof text === "string" ? /^(.+)-(\d+)$/.exec(text) : null;
  return found && { epoch: found[1], number: Number(found[2]) };
}

/**
 * How many events lie between two places; null where nobody can tell, as between two epochs.
 *
 * @param {unknown} from
 * @param {unknown} to Negative where this is the earlier one.
 */
export function distance(from, to) {
  const [start, end] = [parsePosition(from), parsePosition(to)];
  return start && end && start.epoch === end.epoch ? end.number - start.number : null;
}

/**
 * Whether who is at `position` has had everything up to `other`. False where nobody can tell.
 *
 * @param {unknown} position
 * @param {unknown} other
 */
export function reaches(position, other) {
  const between = distance(other, position);
  return between !== null && between >= 0;
}
