import type { IncomingMessage } from 'node:http';
import { CodedError } from '@lai/shared/errors';
import type { z } from 'zod';

const MIB = 1024 * 1024;
/** With images in it a body may be this long; without, the configured limit counts. */
const MAX_BODY_BYTES = 20 * MIB;
/** The keys under which the various APIs put images, sound and files. */
const BULK = ['"image_url"', '"input_image"', '"image"', '"images"', '"input_audio"', '"input_file"'];
/** JSON.parse takes 100,000 levels without complaint, and whatever walks the result afterwards runs out of stack. */
const MAX_DEPTH = 64;
const HEAR_OUT_MS = 2_000;

/**
 * A JSON request body that was checked and can be changed at the top level without touching the rest: numbers, key order and
 * unknown fields reach the engine as the client wrote them.
 */
export interface JsonBody<T> {
  readonly value: T;
  /** The body with these top-level fields set, added when they were not there. Values are JSON. */
  with(fields: Readonly<Record<string, unknown>>): Uint8Array;
}

export const readJsonBody = async <T>(
  request: IncomingMessage,
  schema: z.ZodType<T>,
  limits: { maxTextBytes: number; isAnyMediaType?: boolean },
): Promise<JsonBody<T>> => {
  const mediaType = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (limits.isAnyMediaType !== true && mediaType !== undefined && mediaType !== 'application/json')
    throw new CodedError('unsupported_media_type');
  return parseJsonBody(await readBytes(request), schema, limits);
};

export const parseJsonBody = <T>(
  bytes: Buffer,
  schema: z.ZodType<T>,
  { maxTextBytes }: { maxTextBytes: number },
): JsonBody<T> => {
  if (bytes.length > maxTextBytes && !BULK.some((key) => bytes.includes(key))) throw tooLarge(maxTextBytes);
  const shape = scanJson(bytes);
  if (shape.depth > MAX_DEPTH)
    throw new CodedError('body_too_deep', { message: `The request body is nested more than ${MAX_DEPTH} levels deep.` });
  const text = bytes.toString();
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const param = issue?.path.join('.') ?? '';
    throw new CodedError('invalid_value', {
      message: param ? `${param}: ${issue?.message}` : `The body must be a JSON object (${issue?.message}).`,
      ...(param ? { param } : {}),
    });
  }
  return { value: parsed.data, with: (fields) => splice(bytes, shape.fields, fields) };
};

export const readBytes = async (request: IncomingMessage): Promise<Buffer> => {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) {
    await hearOut(request);
    throw tooLarge(MAX_BODY_BYTES);
  }
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) throw tooLarge(MAX_BODY_BYTES);
    pieces.push(piece);
  }
  return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
};

/** A client that is still sending does not listen; it is heard out, for a moment, so that it can be told why not. */
const hearOut = (request: IncomingMessage): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, HEAR_OUT_MS);
    request.once('close', resolve).once('end', () => {
      clearTimeout(timer);
      resolve();
    });
    request.resume();
  });

const tooLarge = (limit: number): CodedError =>
  new CodedError('body_too_large', {
    message: `The request body is larger than the ${limit < MIB ? `${limit} bytes` : `${(limit / MIB).toFixed(limit % MIB ? 1 : 0)} MiB`} this server accepts.`,
  });

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The engine's message quotes the input, which may be somebody's prompt; the position is enough to find the place.
    const position = /position (\d+)/.exec(String(error))?.[1];
    throw new CodedError('invalid_json', {
      message: `The request body is not valid JSON${position ? ` (at character ${position})` : ''}.`,
    });
  }
};

interface Span {
  readonly start: number;
  readonly end: number;
}

interface JsonShape {
  readonly depth: number;
  /** Where the values of the outermost object's fields stand, by key; of a key that is there twice, the last, as JSON.parse reads it. */
  readonly fields: ReadonlyMap<string, Span>;
}

const [QUOTE, BACKSLASH, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST, COLON, COMMA] = Buffer.from('"\\{}[]:,');

/** One pass over the bytes. Says nothing about validity: JSON.parse does that. */
export const scanJson = (bytes: Uint8Array): JsonShape => {
  const fields = new Map<string, Span>();
  let level = 0;
  let depth = 0;
  let key: Span | null = null;
  let lastString: Span | null = null;
  let valueStart = -1;
  const endValue = (end: number) => {
    if (key && valueStart !== -1) fields.set(keyText(bytes, key), { start: valueStart, end });
    key = null;
    valueStart = -1;
  };
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      const start = at;
      for (at += 1; at < bytes.length && bytes[at] !== QUOTE; at += 1) if (bytes[at] === BACKSLASH) at += 1;
      if (level === 1) lastString = { start, end: at + 1 };
    } else if (byte === OPEN || byte === OPEN_LIST) {
      level += 1;
      if (level > depth) depth = level;
    } else if (byte === CLOSE || byte === CLOSE_LIST) {
      if (level === 1) endValue(at);
      level -= 1;
    } else if (level === 1 && byte === COLON) {
      key = lastString;
      valueStart = at + 1;
    } else if (level === 1 && byte === COMMA) {
      endValue(at);
    }
  }
  return { depth, fields };
};

const keyText = (bytes: Uint8Array, { start, end }: Span): string => {
  try {
    return String(JSON.parse(Buffer.from(bytes.subarray(start, end)).toString()));
  } catch {
    return '';
  }
};

const splice = (bytes: Buffer, spans: ReadonlyMap<string, Span>, fields: Readonly<Record<string, unknown>>): Uint8Array => {
  const edits: { start: number; end: number; text: string }[] = [];
  const added: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    const span = spans.get(name);
    if (span) edits.push({ ...span, text: JSON.stringify(value) });
    else added.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
  }
  edits.sort((a, b) => a.start - b.start);
  const pieces: Buffer[] = [];
  // Behind the opening brace, so that nothing depends on what the body ends with.
  let at = bytes.indexOf(OPEN ?? 0) + 1;
  pieces.push(bytes.subarray(0, at));
  if (added.length > 0) pieces.push(Buffer.from(added.join(',') + (spans.size > 0 ? ',' : '')));
  for (const edit of edits) {
    pieces.push(bytes.subarray(at, edit.start), Buffer.from(edit.text));
    at = edit.end;
  }
  pieces.push(bytes.subarray(at));
  return Buffer.concat(pieces);
};
