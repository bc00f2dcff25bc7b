import type { z } from 'zod';

/** A value as far as it fits its schema, and what of it did not, for people. */
export interface Forgiven<T> {
  readonly value: T;
  readonly leftOut: readonly string[];
}

/** Each round goes one step outwards from what does not fit; no message is nested deeper. */
const ROUNDS_LIMIT = 12;
const TOLD_LIMIT = 8;

/**
 * Reads a value whose parts are independent facts, such as a snapshot: one part that does not fit must not hide the others. Such a part
 * becomes `null` where the schema allows "not known"; otherwise the optional field, or the list entry, that holds it is left out. Returns
 * null when what is left does not fit either.
 */
export const readForgivingly = <T>(schema: z.ZodType<T>, value: unknown): Forgiven<T> | null => {
  const first = schema.safeParse(value);
  if (first.success) return { value: first.data, leftOut: [] };
  const told = new Map(first.error.issues.map(({ path, message }) => [spell(value, path), message]));
  const weakening = new Weakening(value);
  let issues = first.error.issues;
  for (let round = 0; round < ROUNDS_LIMIT; round += 1) {
    weakening.step(issues.map(({ path }) => path));
    const parsed = schema.safeParse(weakening.value);
    if (parsed.success) return { value: parsed.data, leftOut: summary(told) };
    issues = parsed.error.issues;
  }
  return null;
};

const REMOVED = Symbol('removed');

/** A copy of a value that loses, step by step, what its reader cannot take. An entry of a list goes at once. */
class Weakening {
  readonly #root: { value: unknown };
  /** Paths that were tried with "not known". */
  readonly #nulled = new Set<string>();
  readonly #lists = new Set<unknown[]>();
  /** Paths that this step has changed. */
  #changed = new Set<string>();

  constructor(value: unknown) {
    this.#root = { value: structuredClone(value) };
  }

  get value(): unknown {
    return this.#root.value;
  }

  step(paths: readonly (readonly PropertyKey[])[]): void {
    this.#changed = new Set();
    for (const path of paths) this.#weaken(['value', ...path]);
    for (const list of this.#lists) list.splice(0, list.length, ...list.filter((entry) => entry !== REMOVED));
    this.#lists.clear();
  }

  #weaken(path: readonly PropertyKey[]): void {
    if (path.some((_, at) => this.#changed.has(keyOf(path.slice(0, at + 1))))) return;
    const [holder, name] = locate(this.#root, path);
    const key = keyOf(path);
    if (Array.isArray(holder)) {
      holder[Number(name)] = REMOVED;
      this.#lists.add(holder);
    } else if (!isRecord(holder) || (holder[name] === undefined && this.#nulled.has(key))) {
      if (path.length > 1) this.#weaken(path.slice(0, -1));
      return;
    } else if (holder[name] === null) {
      delete holder[name];
      this.#nulled.add(key);
    } else {
      holder[name] = null;
      this.#nulled.add(key);
    }
    this.#changed.add(key);
  }
}

const keyOf = (path: readonly PropertyKey[]): string => JSON.stringify(path.map(String));

const locate = (root: unknown, path: readonly PropertyKey[]): [holder: unknown, key: PropertyKey] => {
  let holder = root;
  for (const step of path.slice(0, -1))
    holder = isRecord(holder) || Array.isArray(holder) ? Reflect.get(holder, step) : undefined;
  return [holder, path.at(-1) ?? ''];
};

const isRecord = (value: unknown): value is Record<PropertyKey, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `models.1 (draw:latest).contextLength`: an index alone says little to the reader. */
const spell = (value: unknown, path: readonly PropertyKey[]): string => {
  let at = value;
  return path
    .map((step) => {
      at = typeof at === 'object' && at !== null ? Reflect.get(at, step) : undefined;
      const name = typeof step === 'number' && isRecord(at) ? (at['id'] ?? at['name'] ?? at['kind']) : undefined;
      return typeof name === 'string' ? `${String(step)} (${JSON.stringify(name.slice(0, 80))})` : String(step);
    })
    .join('.')
    .slice(0, 200);
};

const summary = (told: ReadonlyMap<string, string>): string[] => {
  const all = [...told].map(([path, problem]) => `${path || 'value'}: ${problem}`.slice(0, 300));
  return all.length <= TOLD_LIMIT ? all : [...all.slice(0, TOLD_LIMIT), `and ${all.length - TOLD_LIMIT} more`];
};
