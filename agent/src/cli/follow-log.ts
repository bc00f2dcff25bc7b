import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const LOOK_EVERY_MS = 250;
const PIECE_BYTES = 64 * 1024;

/** The last `count` lines of a file, with where it ends. A file that is not there is empty. */
export const lastLines = (path: string, count: number): { readonly lines: readonly string[]; readonly endBytes: number } => {
  if (!existsSync(path)) return { lines: [], endBytes: 0 };
  const file = openSync(path, 'r');
  try {
    const endBytes = fstatSync(file).size;
    let text = '';
    for (let from = endBytes; from > 0 && text.split('\n').length <= count + 1; ) {
      const bytes = Math.min(PIECE_BYTES, from);
      from -= bytes;
      text = readAt(file, from, bytes) + text;
    }
    const lines = text.split('\n');
    if (lines.at(-1) === '') lines.pop();
    return { lines: count === 0 ? [] : lines.slice(-count), endBytes };
  } finally {
    closeSync(file);
  }
};

/** What is appended from `fromBytes` on, until the signal. A file that became shorter was cut and is read from its beginning. */
export async function* followLog(path: string, fromBytes: number, signal: AbortSignal): AsyncGenerator<string> {
  let at = fromBytes;
  while (!signal.aborted) {
    const size = existsSync(path) ? statSync(path).size : 0;
    if (size < at) at = 0;
    if (size > at) {
      const file = openSync(path, 'r');
      try {
        const bytes = Math.min(PIECE_BYTES, size - at);
        yield readAt(file, at, bytes);
        at += bytes;
      } finally {
        closeSync(file);
      }
    } else {
      await pause(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }
}

const readAt = (file: number, from: number, bytes: number): string => {
  const piece = Buffer.alloc(bytes);
  const read = readSync(file, piece, 0, bytes, from);
  return piece.toString('utf8', 0, read);
};
