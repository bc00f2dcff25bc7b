import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const LOOK_EVERY_MS = 250;
const PIECE_BYTES = 64 * 1024;
/** However many lines are wanted: no log line of ours is longer. */
const LINE_BYTES = 4_096;

/** The last lines of a file, and where it ends. A file that is not there is empty. */
export const lastLines = (path: string, count: number): { readonly lines: readonly string[]; readonly endBytes: number } => {
  if (!existsSync(path)) return { lines: [], endBytes: 0 };
  const endBytes = statSync(path).size;
  const from = Math.max(0, endBytes - count * LINE_BYTES);
  const lines = readAt(path, from, endBytes - from).split('\n');
  if (lines.at(-1) === '') lines.pop();
  return { lines: count === 0 ? [] : lines.slice(-count), endBytes };
};

/** What is appended from `fromBytes` on, until the signal. A file that became shorter is read from its beginning. */
export async function* followFile(path: string, fromBytes: number, signal: AbortSignal): AsyncGenerator<string> {
  let at = fromBytes;
  while (!signal.aborted) {
    const size = existsSync(path) ? statSync(path).size : 0;
    if (size < at) at = 0;
    if (size === at) {
      await pause(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
      continue;
    }
    const bytes = Math.min(PIECE_BYTES, size - at);
    yield readAt(path, at, bytes);
    at += bytes;
  }
}

const readAt = (path: string, from: number, bytes: number): string => {
  const file = openSync(path, 'r');
  try {
    const piece = Buffer.alloc(bytes);
    return piece.toString('utf8', 0, readSync(file, piece, 0, bytes, from));
  } finally {
    closeSync(file);
  }
};
