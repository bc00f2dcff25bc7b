import { type FileHandle, open } from 'node:fs/promises';
import { type KvShape, kvShape } from './context-bytes.ts';

/** What an agent wants to know of a GGUF file without loading it. */
export interface GgufFacts {
  readonly architecture: string | null;
  readonly contextLength: number | null;
  /** How token vectors become one: null = the model is not made for embeddings; 4 = it ranks. Numbers are llama.cpp's. */
  readonly poolingType: number | null;
  readonly hasChatTemplate: boolean;
  readonly canUseTools: boolean;
  /** What its context is made of; null when not known. */
  readonly kvShape: KvShape | null;
}

const PIECE_BYTES = 256 * 1024;
/** Headers are megabytes at most (a vocabulary); what goes on for longer is not read. */
const LIMIT_BYTES = 64 * 1024 * 1024;
/** A value that is longer than this is none that we look for. */
const TEXT_LIMIT_BYTES = 1024 * 1024;
const LAYERS_LIMIT = 4_096;
const NEWEST_VERSION = 3;
/** A version in the other byte order is a number beyond this. */
const VERSIONS_LIMIT = 1_000;

/** Bytes of each scalar type, by its number in the format. 8 = text, 9 = array. */
const SCALAR_BYTES: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const TEXT = 8;
const ARRAY = 9;

/** Encoders of llama.cpp that have no other use than embeddings, also in files that do not state their pooling. */
const EMBEDDING_ARCHITECTURE = /(?:^|-)bert(?:-|$)|^t5encoder$|^gemma-embedding$/;

/**
 * Null for what is no GGUF file, is one that engines no longer read (version 1, the other byte order), or is cut off. Throws for a file that
 * cannot be opened and for a version of later than ours: of those nothing is known. Reads the header alone, piece by piece.
 */
export const readGgufFacts = async (path: string): Promise<GgufFacts | null> => {
  const file = await open(path, 'r');
  try {
    const cursor = new Cursor(file);
    const values = await readValues(cursor);
    if (!values) return null;
    const architecture = textOf(values.get('general.architecture'));
    const numberOf = (name: string) => {
      const value = values.get(`${architecture}.${name}`);
      return typeof value === 'number' && Number.isSafeInteger(value) ? value : null;
    };
    const template = textOf(values.get('tokenizer.chat_template')) ?? '';
    const isEncoder = architecture !== null && EMBEDDING_ARCHITECTURE.test(architecture);
    const pooling = numberOf('pooling_type');
    return {
      architecture,
      contextLength: numberOf('context_length') || null,
      poolingType: pooling === 0 ? null : (pooling ?? (isEncoder ? 1 : null)),
      hasChatTemplate: template !== '',
      canUseTools: /\btools\b/.test(template),
      kvShape: kvShape(values),
    };
  } catch (error) {
    if (error instanceof CutOff) return null;
    throw error;
  } finally {
    await file.close();
  }
};

type Value = string | number | readonly number[];
class CutOff extends Error {}

const textOf = (value: Value | undefined): string | null => (typeof value === 'string' ? value : null);

/** The last two groups are what `kvShape` looks at. */
const WANTED =
  /^general\.architecture$|^tokenizer\.chat_template$|\.(?:context_length|pooling_type)$|\.(?:block_count|embedding_length)$|\.(?:attention|ssm|wkv|shortconv)\./;

const readValues = async (cursor: Cursor): Promise<Map<string, Value> | null> => {
  if ((await cursor.text(4)) !== 'GGUF') return null;
  const version = await cursor.uint32();
  if (version > NEWEST_VERSION && version < VERSIONS_LIMIT) throw new Error(`a GGUF file of version ${version}`);
  if (version !== 2 && version !== 3) return null;
  await cursor.uint64(); // tensors
  const count = await cursor.uint64();
  const values = new Map<string, Value>();
  for (let index = 0; index < count; index += 1) {
    const key = await cursor.text(await cursor.uint64());
    const type = await cursor.uint32();
    if (!WANTED.test(key)) await skip(cursor, type);
    else if (type === TEXT) values.set(key, await cursor.text(await cursor.uint64()));
    else if (type === 4 || type === 5) values.set(key, await cursor.uint32());
    else if (type === 10 || type === 11) values.set(key, await cursor.uint64());
    else if (type === ARRAY) values.set(key, await readNumbers(cursor));
    else await skip(cursor, type);
  }
  return values;
};

const skip = async (cursor: Cursor, type: number): Promise<void> => {
  if (type === TEXT) return cursor.skip(await cursor.uint64());
  if (type !== ARRAY) return cursor.skip(sizeOf(type));
  await skipItems(cursor, await cursor.uint32(), await cursor.uint64());
};

const skipItems = async (cursor: Cursor, inner: number, count: number): Promise<void> => {
  // Lists of lists are none that any engine reads; sizeOf refuses them.
  return inner === TEXT ? cursor.skipTexts(count) : cursor.skip(count * sizeOf(inner));
};

/** One number for each layer; empty for what cannot be that. */
const readNumbers = async (cursor: Cursor): Promise<number[]> => {
  const inner = await cursor.uint32();
  const count = await cursor.uint64();
  const numbers: number[] = [];
  if ((inner !== 4 && inner !== 5) || count > LAYERS_LIMIT) await skipItems(cursor, inner, count);
  else while (numbers.length < count) numbers.push(await cursor.uint32());
  return numbers;
};

const sizeOf = (type: number): number => {
  const bytes = SCALAR_BYTES[type];
  if (bytes === undefined) throw new CutOff(`no such type: ${type}`);
  return bytes;
};

/** A place in a file that moves forward. Single writer of its piece of the file. */
class Cursor {
  readonly #file: FileHandle;
  #piece = Buffer.alloc(0);
  #at = 0;
  #nextBytes = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async uint32(): Promise<number> {
    await this.#need(4);
    const value = this.#piece.readUInt32LE(this.#at);
    this.#at += 4;
    return value;
  }

  async uint64(): Promise<number> {
    await this.#need(8);
    const value = Number(this.#piece.readBigUInt64LE(this.#at));
    this.#at += 8;
    return value;
  }

  async text(bytes: number): Promise<string> {
    if (bytes > TEXT_LIMIT_BYTES) throw new CutOff('a text that is too long');
    await this.#need(bytes);
    const value = this.#piece.toString('utf8', this.#at, this.#at + bytes);
    this.#at += bytes;
    return value;
  }

  async skip(bytes: number): Promise<void> {
    const here = this.#piece.length - this.#at;
    if (bytes <= here) {
      this.#at += bytes;
      return;
    }
    this.#nextBytes += bytes - here;
    this.#piece = Buffer.alloc(0);
    this.#at = 0;
    if (this.#nextBytes > LIMIT_BYTES) throw new CutOff('a header without end');
  }

  /** A vocabulary: hundreds of thousands of texts. Walks what is in memory without a promise per text. */
  async skipTexts(count: number): Promise<void> {
    for (let left = count; left > 0; ) {
      while (left > 0 && this.#piece.length - this.#at >= 8) {
        const bytes = Number(this.#piece.readBigUInt64LE(this.#at));
        if (this.#piece.length - this.#at - 8 < bytes) break;
        this.#at += 8 + bytes;
        left -= 1;
      }
      if (left === 0) return;
      const bytes = await this.uint64();
      await this.skip(bytes);
      left -= 1;
    }
  }

  async #need(bytes: number): Promise<void> {
    const here = this.#piece.length - this.#at;
    if (here >= bytes) return;
    const piece = Buffer.alloc(Math.max(PIECE_BYTES, bytes - here));
    const { bytesRead } = await this.#file.read(piece, 0, piece.length, this.#nextBytes);
    this.#nextBytes += bytesRead;
    if (this.#nextBytes > LIMIT_BYTES + PIECE_BYTES) throw new CutOff('a header without end');
    this.#piece = Buffer.concat([this.#piece.subarray(this.#at), piece.subarray(0, bytesRead)]);
    this.#at = 0;
    if (this.#piece.length < bytes) throw new CutOff('the file ends in its header');
  }
}
