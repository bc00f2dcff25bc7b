/** A program that prints without ever ending its line must not fill our memory; no vendor line is near this long. */
export const LINE_LIMIT_CHARACTERS = 64 * 1024;

/** Cuts a chunk into whole lines; `rest` is what the next chunk continues. */
export function cutLines(rest: string, chunk: string): { lines: readonly string[]; rest: string } {
  const pieces = (rest + chunk).split(/\r?\n/);
  const last = pieces.pop() ?? '';
  return { lines: pieces, rest: last.length > LINE_LIMIT_CHARACTERS ? '' : last };
}
