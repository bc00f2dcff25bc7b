import { CodedError } from '@lai/shared/errors';
import { folded, isForeign, isKept, type KnownKeys } from './known-keys.ts';

/** JSON.parse takes 100,000 levels without complaint, and whatever walks the result afterwards runs out of stack. */
const MAX_DEPTH = 64;
/** Of one list or object: messages, items, parts, tools, keys. Checking and translating them costs time for each. */
const MAX_ENTRIES = 10_000;
/** Of all lists and objects together, those inside tool schemas included. */
const MAX_CONTAINERS = 100_000;

export type Path = readonly (string | number)[];

export interface Field {
  /** As it is written, from behind the brace or comma before it to the one behind it. */
  readonly text: string;
  /** Where its value begins in that text. */
  readonly valueAt: number;
  /** Where that text begins in the body. */
  readonly at: number;
}

export interface JsonShape {
  /** Of the outermost object, in their order. */
  readonly fields: ReadonlyMap<string, Field>;
  /** Values that are somebody else's JSON: where they are and how they are written. */
  readonly kept: readonly { readonly path: Path; readonly text: string }[];
  /** Positions of values of `messages[*].role`, quotes included. */
  readonly roles: readonly { readonly start: number; readonly end: number }[];
  /** The first key that could be read in two ways. It counts only once the text is known to be JSON. */
  readonly ambiguity: CodedError | null;
}

/**
 * One pass over a text that may be JSON: what `JSON.parse` does not tell. Null when it cannot be JSON; a text that is no JSON may
 * have a shape all the same. Throws CodedError for what is too deep or too much.
 */
export const scanJson = (text: string, known: KnownKeys): JsonShape | null => new Scan(text, known).run();

const SPACE_CODE = 32;
const [QUOTE, BACKSLASH, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST, COLON, COMMA] = Array.from('"\\{}[]:,', (letter) =>
  letter.charCodeAt(0),
);

class Scan {
  readonly #text: string;
  readonly #known: KnownKeys;
  readonly #path: (string | number)[] = [];
  readonly #fields = new Map<string, Field>();
  readonly #kept: { path: Path; text: string }[] = [];
  readonly #roles: { start: number; end: number }[] = [];
  #at = 0;
  #containers = 0;
  #ambiguity: CodedError | null = null;

  constructor(text: string, known: KnownKeys) {
    this.#text = text;
    this.#known = known;
  }

  run(): JsonShape | null {
    if (!this.#value(false, false)) return null;
    return { fields: this.#fields, kept: this.#kept, roles: this.#roles, ambiguity: this.#ambiguity };
  }

  /** False when it is no JSON. `foreign`: its keys mean nothing to Lai or an engine. `kept`: it stands in a text that is kept. */
  #value(foreign: boolean, kept: boolean): boolean {
    const code = this.#next();
    if (code === OPEN) return this.#open() && this.#object(foreign, kept);
    if (code === OPEN_LIST) return this.#open() && this.#list(foreign, kept);
    return this.#scalar(code);
  }

  #scalar(code: number): boolean {
    if (code === QUOTE) return this.#string();
    const text = this.#text;
    const start = this.#at;
    let at = start;
    for (
      let inner = code;
      inner > SPACE_CODE && inner !== COMMA && inner !== CLOSE && inner !== CLOSE_LIST;
      inner = text.charCodeAt(at)
    )
      at += 1;
    this.#at = at;
    return at > start;
  }

  #open(): boolean {
    this.#containers += 1;
    if (this.#containers > MAX_CONTAINERS)
      throw new CodedError('invalid_value', {
        message: `The request body holds more than ${MAX_CONTAINERS} objects and lists. This limit is Lai's own.`,
        param: nameOf(this.#path.slice(0, 1)) || 'body',
      });
    if (this.#path.length >= MAX_DEPTH)
      throw new CodedError('body_too_deep', {
        message: `The request body is nested more than ${MAX_DEPTH} levels deep. This limit is Lai's own.`,
        param: nameOf(this.#path.slice(0, 1)) || 'body',
      });
    this.#at += 1;
    return true;
  }

  #list(foreign: boolean, kept: boolean): boolean {
    const depth = this.#path.length;
    // Many numbers of a schema's, or of a prompt's tokens, are an honest body.
    const isLong = foreign || (depth <= 2 && this.#known.longLists.has(String(this.#path[0])));
    if (this.#next() === CLOSE_LIST) return this.#close();
    for (let index = 0; ; index += 1) {
      const code = this.#next();
      if (index >= MAX_ENTRIES && !foreign && (!isLong || code === OPEN || code === OPEN_LIST))
        throw tooMany(this.#path.slice(0, depth));
      if (code === OPEN || code === OPEN_LIST) {
        this.#path[depth] = index;
        if (!this.#value(foreign, kept)) return false;
        this.#path.length = depth;
      } else if (!this.#scalar(code)) return false;
      const after = this.#next();
      if (after === CLOSE_LIST) return this.#close();
      if (after !== COMMA) return false;
      this.#at += 1;
    }
  }

  #object(foreign: boolean, kept: boolean): boolean {
    const depth = this.#path.length;
    const seen = foreign ? null : new KeysSeen();
    let start = this.#at;
    if (this.#next() === CLOSE) return this.#close();
    for (let entries = 0; ; entries += 1) {
      if (entries >= MAX_ENTRIES) throw tooMany(this.#path.slice(0, depth));
      if (this.#next() !== QUOTE) return false;
      const key = this.#key();
      if (key === null || this.#next() !== COLON) return false;
      this.#at += 1;
      this.#path[depth] = key;
      if (seen) this.#check(key, seen);
      if (!this.#field(key, { start, foreign, kept, depth })) return false;
      this.#path.length = depth;
      const after = this.#next();
      if (after === CLOSE) return this.#close();
      if (after !== COMMA) return false;
      this.#at += 1;
      start = this.#at;
    }
  }

  #field(
    key: string,
    { start, foreign, kept, depth }: { start: number; foreign: boolean; kept: boolean; depth: number },
  ): boolean {
    const code = this.#next();
    const valueStart = this.#at;
    const isContainer = code === OPEN || code === OPEN_LIST;
    const keeps = isContainer && !kept && isKept(key, code === OPEN);
    const path = keeps ? [...this.#path] : null;
    if (!this.#value(foreign || (isContainer && isForeign(key, code === OPEN)), kept || keeps)) return false;
    if (path) this.#kept.push({ path, text: this.#text.slice(valueStart, this.#at) });
    const end = this.#at;
    if (depth === 0) {
      this.#next();
      this.#fields.set(key, { text: this.#text.slice(start, this.#at), valueAt: valueStart - start, at: start });
    } else if (depth === 2 && key === 'role' && this.#path[0] === 'messages') this.#roles.push({ start: valueStart, end });
    return true;
  }

  #check(key: string, seen: KeysSeen): void {
    if (this.#ambiguity) return;
    const isKnown = this.#known.exact.has(key);
    const fold = isKnown ? key : folded(key);
    const meant = isKnown ? key : this.#known.byFold.get(fold);
    if (meant !== undefined && meant !== key) this.#ambiguity = misspelled(this.#path, meant);
    else if (!seen.add(fold)) this.#ambiguity = twice(this.#path);
  }

  /** Null when its escapes are none. */
  #key(): string | null {
    const start = this.#at;
    if (!this.#string()) return null;
    const inner = this.#text.slice(start + 1, this.#at - 1);
    if (!inner.includes('\\')) return inner;
    try {
      return String(JSON.parse(this.#text.slice(start, this.#at)));
    } catch {
      return null;
    }
  }

  #string(): boolean {
    const text = this.#text;
    for (let end = text.indexOf('"', this.#at + 1); end !== -1; end = text.indexOf('"', end + 1)) {
      let before = end - 1;
      while (text.charCodeAt(before) === BACKSLASH) before -= 1;
      if ((end - before) % 2 === 0) continue;
      this.#at = end + 1;
      return true;
    }
    return false;
  }

  #close(): boolean {
    this.#at += 1;
    return true;
  }

  /** The next letter that is no space; the position moves to it. */
  #next(): number {
    const text = this.#text;
    let at = this.#at;
    let code = text.charCodeAt(at);
    while (code <= SPACE_CODE) {
      at += 1;
      code = text.charCodeAt(at);
    }
    this.#at = at;
    return code;
  }
}

/** Most objects have a few keys, and a list of those is quicker than a set. */
class KeysSeen {
  readonly #few: string[] = [];
  #many: Set<string> | null = null;

  /** False when it was there already. */
  add(key: string): boolean {
    if (this.#many) {
      const { size } = this.#many;
      return this.#many.add(key).size > size;
    }
    if (this.#few.includes(key)) return false;
    this.#few.push(key);
    if (this.#few.length > 8) this.#many = new Set(this.#few);
    return true;
  }
}

/** `messages[3].content`, as OpenAI names it. */
export const nameOf = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (name, step) => (typeof step === 'number' ? `${name}[${step}]` : name === '' ? String(step) : `${name}.${String(step)}`),
    '',
  );

const SHOWN_CHARACTERS = 200;
const shown = (path: Path): string => nameOf(path).slice(0, SHOWN_CHARACTERS);

const misspelled = (path: Path, meant: string): CodedError =>
  new CodedError('invalid_value', {
    message: `${shown(path)}: some engines would read this key as ${JSON.stringify(meant)}, others would not. Spell it ${JSON.stringify(meant)}.`,
    param: shown(path) || 'body',
  });

const twice = (path: Path): CodedError =>
  new CodedError('invalid_value', {
    message: `${shown(path)}: this key is there twice, and engines differ in which one they read. Send it once.`,
    param: shown(path) || 'body',
  });

const tooMany = (path: Path): CodedError =>
  new CodedError('invalid_value', {
    message: `${shown(path) || 'The body'}: more than ${MAX_ENTRIES} entries. This limit is Lai's own.`,
    param: shown(path) || 'body',
  });
