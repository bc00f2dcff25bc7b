import { CodedError } from '@lai/shared/errors';

/** What becomes of a field of a request. */
export type Treatment =
  /** As it is, to the engine, which may know it or not. */
  | { readonly kind: 'passed' }
  /** Lai acts on it, or says it to the engine in other words. */
  | { readonly kind: 'translated'; readonly how?: string }
  /** Left out, and named in `x-lai-ignored`. */
  | { readonly kind: 'ignored'; readonly why: string; readonly harmless?: readonly unknown[] }
  /** The request would mean something else without it. */
  | { readonly kind: 'refused'; readonly why: string; readonly harmless?: readonly unknown[] }
  /** Its fields have rows of their own, `name.inner`. */
  | { readonly kind: 'inside' };

/** Every field of a request that an API documents, by its path. */
export interface FieldTable {
  readonly rows: Readonly<Record<string, Treatment>>;
  /** What becomes of fields that nobody has heard of. */
  readonly unknown: 'passed' | 'ignored';
}

export const passed: Treatment = { kind: 'passed' };
export const translated = (how?: string): Treatment => ({ kind: 'translated', ...(how ? { how } : {}) });
/** `harmless` values ask for nothing that Lai would not do anyway. */
export const ignored = (why: string, harmless?: readonly unknown[]): Treatment => ({
  kind: 'ignored',
  why,
  ...(harmless ? { harmless } : {}),
});
export const refused = (why: string, harmless?: readonly unknown[]): Treatment => ({
  kind: 'refused',
  why,
  ...(harmless ? { harmless } : {}),
});
export const inside: Treatment = { kind: 'inside' };

/** The fields of a request that say something and are ignored, as paths. Throws CodedError for one that is refused. */
export const ignoredFields = (table: FieldTable, request: Readonly<Record<string, unknown>>): string[] =>
  fieldsIn(request).flatMap(([name, value]) => {
    const isInside = table.rows[name]?.kind === 'inside' && isObject(value);
    const paths: [string, unknown][] = isInside
      ? fieldsIn(value).map(([inner, field]) => [`${name}.${inner}`, field])
      : [[name, value]];
    return paths.filter(([path, field]) => isIgnored(table, path, field)).map(([path]) => path);
  });

const isIgnored = ({ rows, unknown }: FieldTable, path: string, value: unknown): boolean => {
  const row = Object.hasOwn(rows, path) ? rows[path] : undefined;
  if (row === undefined) return unknown === 'ignored';
  if (row.kind !== 'ignored' && row.kind !== 'refused') return false;
  if (row.harmless?.includes(value)) return false;
  if (row.kind === 'ignored') return true;
  throw new CodedError('invalid_value', { message: `${path}: ${row.why}`, param: path });
};

/** Programs in Go send every field they know, with nothing in it. */
const fieldsIn = (fields: object): [string, unknown][] =>
  Object.entries(fields).filter(
    ([, value]) =>
      value !== undefined &&
      value !== null &&
      value !== '' &&
      value !== false &&
      value !== 0 &&
      !(typeof value === 'object' && Object.keys(value).length === 0),
  );

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);

const MOST_NAMES = 32;
const HEADER_SAFE = /^[\w.:-]{1,64}$/;

/** The header that names what was ignored; none when nothing was. */
export const ignoredHeader = (paths: readonly string[]): Record<string, string> => {
  const names = [...new Set(paths)].filter((path) => HEADER_SAFE.test(path)).slice(0, MOST_NAMES);
  return names.length === 0 ? {} : { 'x-lai-ignored': names.join(', ') };
};
