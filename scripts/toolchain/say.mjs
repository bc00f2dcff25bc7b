/** What the bootstrap tells the person at the terminal. Always on standard error: standard output belongs to what it starts. */

/** @param {string} line one plain sentence about what happens now */
export function say(line) {
  process.stderr.write(`lai: ${line}\n`);
}

/** The bootstrap cannot go on: what failed, why, and what to type. */
export class Stop extends Error {
  /**
   * @param {string} what
   * @param {string} why
   * @param {string} next
   */
  constructor(what, why, next) {
    super(what);
    this.why = why;
    this.next = next;
  }
}

/**
 * @param {Stop} stop
 * @returns {string[]}
 */
export function stopLines(stop) {
  const indent = (/** @type {string} */ text) => text.trim().split('\n').join('\n       ');
  return [`lai: ${stop.message}`, `  why: ${indent(stop.why)}`, `  now: ${indent(stop.next)}`];
}
