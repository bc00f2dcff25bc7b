import type { IncomingMessage } from 'node:http';
import { CodedError } from '@lai/shared/errors';
import type { z } from 'zod';
import { holdingOf } from '../../dispatch/held-memory.ts';
import { decoderFor } from './content-coding.ts';
import { type BodyFor, modelSlot } from './engine-body.ts';
import { jsonOf, withText } from './foreign-json.ts';
import { type JsonShape, type Path, scanJson } from './json-scan.ts';
import { keysKnownTo } from './known-keys.ts';
import { problemIn } from './schema-problem.ts';
import { saysNothing } from './silent-fields.ts';

const MIB = 1024 * 1024;
/** With images in it a body may be this long; without, the configured limit counts. */
const MAX_BODY_BYTES = 20 * MIB;
/** The keys under which the various APIs put images, sound and files. */
const BULK = ['"image_url"', '"input_image"', '"image"', '"images"', '"input_audio"', '"input_file"'];
const HEAR_OUT_MS = 2_000;
/** Takes milliseconds to parse. */
const LARGE_BYTES = 256 * 1024;

/**
 * A JSON request body that was checked. What was checked is what is sent: no key in it can be read in two ways, and numbers, key order
 * and unknown fields reach the engine as the client wrote them.
 */
export interface JsonBody<T> {
  readonly value: T;
  /**
   * The body with these top-level fields set, added when they were not there and left out when undefined. Values are JSON; `model` is
   * filled in for each node. Fields that say nothing (silent-fields.ts) are left out too: not every engine knows that they do.
   */
  forEngine(fields: Readonly<Record<string, unknown>>): BodyFor;
  /** The same with another word for one role in `messages`. */
  withRole(role: { readonly from: string; readonly to: string }): JsonBody<T>;
}

/** `keepsNulls`: null is a value of its own there, and clears a field. Throws CodedError. */
export const readJsonBody = async <T>(
  request: IncomingMessage,
  schema: z.ZodType<T>,
  limits: { maxTextBytes: number; isAnyMediaType?: boolean; keepsNulls?: boolean },
): Promise<JsonBody<T>> => {
  const mediaType = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (limits.isAnyMediaType !== true && mediaType !== undefined && mediaType !== 'application/json')
    throw new CodedError('unsupported_media_type', { param: 'Content-Type' });
  return parseJsonBody(await readBytes(request), schema, limits);
};

export const parseJsonBody = <T>(
  bytes: Buffer,
  schema: z.ZodType<T>,
  { maxTextBytes, keepsNulls = false }: { maxTextBytes: number; keepsNulls?: boolean },
): JsonBody<T> => {
  if (bytes.length > maxTextBytes && !BULK.some((key) => bytes.includes(key))) throw tooLarge(maxTextBytes);
  const text = bytes.toString();
  const scanned = scanJson(text, keysKnownTo(schema));
  const json = parseJson(text);
  if (!scanned) throw notAnObject('it is no JSON object');
  if (scanned.ambiguity) throw scanned.ambiguity;
  const shape = keepsNulls ? scanned : withoutSilentFields(scanned, json);
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const { param, message } = problemIn(parsed.error);
    throw param === '' ? notAnObject(message) : new CodedError('invalid_value', { message: `${param}: ${message}`, param });
  }
  for (const { path, text: written } of shape.kept) rememberText(parsed.data, path, written);
  return jsonBody(parsed.data, shape);
};

const jsonBody = <T>(value: T, shape: JsonShape): JsonBody<T> => ({
  value,
  forEngine: (fields) => engineBody(shape, fields),
  withRole: ({ from, to }) => jsonBody(value, roleRenamed(shape, from, to)),
});

/** Takes the fields that say nothing out of the parsed body and out of its shape: neither the schema nor an engine meets them. */
const withoutSilentFields = (shape: JsonShape, json: unknown): JsonShape => {
  if (typeof json !== 'object' || json === null) return shape;
  const silent = Object.entries(json).flatMap(([name, value]) => (saysNothing(name, value) ? [name] : []));
  if (silent.length === 0) return shape;
  const fields = new Map(shape.fields);
  for (const name of silent) {
    fields.delete(name);
    Reflect.deleteProperty(json, name);
  }
  return { ...shape, fields };
};

/** The bytes of a body, decoded. Throws CodedError when there are too many of them, on the way or decoded. */
export const readBytes = async (request: IncomingMessage): Promise<Buffer> => {
  const decode = decoderFor(request.headers['content-encoding']);
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) {
    await hearOut(request);
    throw tooLarge(MAX_BODY_BYTES);
  }
  const holding = holdingOf(request);
  const pieces: Buffer[] = [];
  let length = 0;
  holding?.grow(0);
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > MAX_BODY_BYTES) throw tooLarge(MAX_BODY_BYTES);
    holding?.grow(piece.length);
    pieces.push(piece);
  }
  const bytes = pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
  const decoded = decode ? await decode(bytes, MAX_BODY_BYTES) : bytes;
  if (decoded === 'too_large') throw tooLarge(MAX_BODY_BYTES);
  holding?.grow(decoded.length - bytes.length);
  if (decoded.length > LARGE_BYTES) await turnForLarge();
  return decoded;
};

/** Large bodies are parsed one in a turn of the event loop, so that small requests are answered between them. */
const turnForLarge = (): Promise<void> => {
  largeTurn = largeTurn.then(() => new Promise((resolve) => setImmediate(resolve)));
  return largeTurn;
};
let largeTurn: Promise<void> = Promise.resolve();

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
    message: `The request body is larger than the ${limit < MIB ? `${limit} bytes` : `${(limit / MIB).toFixed(limit % MIB ? 1 : 0)} MiB`} this server accepts. This limit is Lai's own.`,
    param: 'body',
  });

const notAnObject = (why: string): CodedError =>
  new CodedError('invalid_value', { message: `The body must be a JSON object (${why}).`, param: 'body' });

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The engine's message quotes the input, which may be somebody's prompt; the position is enough to find the place.
    const position = /position (\d+)/.exec(String(error))?.[1];
    throw new CodedError('invalid_json', {
      message: `The request body is not valid JSON${position ? ` (at character ${position})` : ''}.`,
      param: 'body',
    });
  }
};

/** The schema leaves lists and objects where they are; what it left out is nobody's to write. */
const rememberText = (data: unknown, path: Path, text: string): void => {
  let value = data;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return;
    value = Reflect.get(value, step);
  }
  withText(value, text);
};

const roleRenamed = (shape: JsonShape, from: string, to: string): JsonShape => {
  const messages = shape.fields.get('messages');
  if (!messages) return shape;
  const pieces: string[] = [];
  let at = 0;
  for (const { start, end } of shape.roles) {
    const written = messages.text.slice(start - messages.at, end - messages.at);
    if (parseJson(written) !== from) continue;
    pieces.push(messages.text.slice(at, start - messages.at), JSON.stringify(to));
    at = end - messages.at;
  }
  const text = pieces.join('') + messages.text.slice(at);
  return { ...shape, roles: [], fields: new Map(shape.fields).set('messages', { ...messages, text }) };
};

const engineBody = ({ fields: written }: JsonShape, fields: Readonly<Record<string, unknown>>): BodyFor => {
  const set = new Map(Object.entries(fields));
  const added = [...set].filter(([name, value]) => value !== undefined && !written.has(name));
  const texts = added.map(([name, value]) => `${JSON.stringify(name)}:${jsonOf(value)}`);
  let head = written.has('model') ? null : `{"model":`;
  for (const [name, { text, valueAt }] of written) {
    if (name === 'model') {
      head = `{${[...texts.splice(0), text.slice(0, valueAt)].join()}`;
    } else if (set.has(name)) {
      const value = set.get(name);
      if (value !== undefined) texts.push(text.slice(0, valueAt) + jsonOf(value));
    } else texts.push(text);
  }
  return modelSlot(head ?? '', `${texts.length > 0 ? ',' : ''}${texts.join()}}`);
};
