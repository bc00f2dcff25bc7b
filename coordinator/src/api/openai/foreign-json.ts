import { randomUUID } from 'node:crypto';

/** Stands for a text while the rest is written; nobody outside can know it, and it never gets out. */
const MARK = randomUUID();
const MARKS = new RegExp(`"${MARK}:(\\d+)"`, 'g');

/** Texts of what is being written right now. Single writer: `jsonOf`. */
let texts: string[] | null = null;

/**
 * Lets a parsed value remember how it was written, so that `jsonOf` writes it so again: digits of numbers that JavaScript cannot hold,
 * `1.0`, the order of keys, keys that stand there twice. `text` is valid JSON for the same value. Gives the value back.
 */
export const withText = <T>(value: T, text: string): T => {
  if (typeof value !== 'object' || value === null) return value;
  // A line break between tokens would end a line of a stream.
  const line = /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]+/g, ' ') : text;
  const toJSON = () => (texts ? `${MARK}:${texts.push(line) - 1}` : plain(value));
  Object.defineProperty(value, 'toJSON', { value: toJSON, enumerable: false, configurable: true, writable: true });
  return value;
};

const plain = (value: object): unknown => (Array.isArray(value) ? [...value] : { ...value });

/** JSON, with every value that remembers its text as it was written. */
export const jsonOf = (value: unknown): string => {
  const before = texts;
  const mine: string[] = [];
  texts = mine;
  try {
    const json = JSON.stringify(value);
    return mine.length === 0 ? json : json.replaceAll(MARKS, (_, index: string) => mine[Number(index)] ?? 'null');
  } finally {
    texts = before;
  }
};

/**
 * The arguments of a call as the object that a client was promised: an object as it was written, a text that holds one as that object,
 * and `{}` for everything else (nothing at all, null, half an object of an answer that was cut).
 */
export const argumentsIn = (text: string): Readonly<Record<string, unknown>> => {
  const value = parsed(text);
  if (typeof value === 'string') {
    const inner = parsed(value);
    return isObject(inner) ? withText(inner, value) : {};
  }
  return isObject(value) ? withText(value, text) : {};
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
