import { createReadStream } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { StoredFile } from './releases.ts';

/** A reader that takes nothing for so long is gone, whatever its socket says. */
const STALL_LIMIT_MS = 60_000;

const TYPES: readonly (readonly [RegExp, string])[] = [
  [/\.tar\.gz$/, 'application/gzip'],
  [/\.zip$/, 'application/zip'],
  [/\.json$/, 'application/json'],
];

export type Span = { readonly start: number; readonly end: number };

/** What to answer. Pure. `whole` also for a range that we do not understand: that is what the standard says. */
export type Portion =
  | { readonly kind: 'whole' }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'none' }
  | ({ readonly kind: 'part' } & Span);

/** Of the request's headers those that matter; `etag` is the file's. */
export const portionOf = (
  headers: { range?: string | undefined; ifRange?: string | undefined; ifNoneMatch?: string | undefined },
  { bytes, etag }: { bytes: number; etag: string },
): Portion => {
  const tags = headers.ifNoneMatch?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? [];
  if (tags.includes(etag) || tags.includes('*')) return { kind: 'unchanged' };
  const [, from, to] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(headers.range ?? '') ?? [];
  const isOther = headers.ifRange !== undefined && headers.ifRange !== etag;
  if (from === undefined || to === undefined || from + to === '' || isOther) return { kind: 'whole' };
  const start = from === '' ? Math.max(0, bytes - Number(to)) : Number(from);
  const end = from === '' || to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1);
  return start > end ? { kind: 'none' } : { kind: 'part', start, end };
};

/** `GET` and `HEAD` of one file: whole, a part of it, or not again. Streamed from disk, as fast as it is read. */
export const serveFile = async (
  { request, response }: { request: IncomingMessage; response: ServerResponse },
  file: StoredFile,
  /** It is this file for good; else only for now. */
  { isForGood }: { isForGood: boolean },
): Promise<void> => {
  const etag = `"${file.sha256}"`;
  const { headers } = request;
  const asked = { range: headers.range, ifRange: single(headers['if-range']), ifNoneMatch: single(headers['if-none-match']) };
  const portion = portionOf(asked, { bytes: file.bytes, etag });
  const common = {
    etag,
    'accept-ranges': 'bytes',
    'cache-control': isForGood ? 'public, max-age=31536000, immutable' : 'no-cache',
    'content-type': TYPES.find(([pattern]) => pattern.test(file.path))?.[1] ?? 'text/plain; charset=utf-8',
  };
  if (portion.kind === 'unchanged') return void response.writeHead(304, common).end();
  if (portion.kind === 'none') return void response.writeHead(416, { ...common, 'content-range': `bytes */${file.bytes}` }).end();
  const { start, end } = portion.kind === 'part' ? portion : { start: 0, end: file.bytes - 1 };
  response.writeHead(portion.kind === 'part' ? 206 : 200, {
    ...common,
    'content-length': end - start + 1,
    ...(portion.kind === 'part' ? { 'content-range': `bytes ${start}-${end}/${file.bytes}` } : {}),
  });
  if (request.method === 'HEAD') return void response.end();
  await send(response, createReadStream(file.path, { start, end }));
};

const send = async (response: ServerResponse, content: ReturnType<typeof createReadStream>): Promise<void> => {
  const timer = setTimeout(() => response.destroy(), STALL_LIMIT_MS);
  content.on('data', () => timer.refresh());
  try {
    await pipeline(content, response);
  } catch {
    // Gone in the middle, or the file is: whoever reads finds that it is too short.
    response.destroy();
  } finally {
    clearTimeout(timer);
  }
};

const single = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value.join(',') : value);
