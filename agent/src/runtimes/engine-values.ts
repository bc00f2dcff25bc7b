import { z } from 'zod';

/**
 * Values as engines write them: each is read for itself, and one that cannot be true is `null`, "not known". Nothing here fails, so that
 * one odd figure costs itself alone. The limits are those of the protocol, so that what is read here can be sent.
 */
const anything = z.unknown().optional();
const known = <T>(isKnown: (value: unknown) => value is T) =>
  anything.transform((value): T | null => (isKnown(value) ? value : null));

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isPositive = (value: unknown): value is number => isCount(value) && value > 0;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what no name may have.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
const NAME_LIMIT = 512;
const WORDS_LIMIT = 64;

/** What may be a name on the wire: no line breaks, no escapes, no half characters. */
export const isName = (value: unknown): value is string =>
  typeof value === 'string' && value.trim() !== '' && value.length <= NAME_LIMIT && value.isWellFormed() && !CONTROL.test(value);

/** Bytes or figures of which zero is one. */
export const count = known(isCount);
/** Figures of which zero means that nobody said it: a context, a size on disk, slots. */
export const positive = known(isPositive);
export const flag = known((value): value is boolean => typeof value === 'boolean');
export const text = known((value): value is string => typeof value === 'string' && value !== '');
/** Fails: an entry without a name is none. */
export const name = z.custom<string>(isName, 'is no name');

/** The texts of a list; null where there is no list. */
export const words = anything.transform((value): string[] | null =>
  Array.isArray(value) ? value.filter(isName).slice(0, WORDS_LIMIT) : null,
);

/** An object that may be missing or something else. */
export const part = <T>(schema: z.ZodType<T>) => anything.transform((value): T | null => schema.safeParse(value).data ?? null);

/** The entries of a list that can be read, and what is wrong with the others. */
export interface Listed<T> {
  readonly entries: readonly T[];
  readonly strange: readonly string[];
}

const STRANGE_LIMIT = 8;

/** A list of which one odd entry does not cost the others. Go writes an empty list as `null`. */
export const listOf = <T>(entry: z.ZodType<T>) =>
  z
    .array(z.unknown())
    .nullable()
    .transform((values): Listed<T> => {
      const entries: T[] = [];
      const strange: string[] = [];
      for (const [index, value] of (values ?? []).entries()) {
        const parsed = entry.safeParse(value);
        if (parsed.success) entries.push(parsed.data);
        else if (strange.length < STRANGE_LIMIT) {
          const issue = parsed.error.issues[0];
          strange.push(`entry ${index + 1}: ${[...(issue?.path ?? []), issue?.message ?? 'odd'].join(' ')}`.slice(0, 200));
        }
      }
      return { entries, strange };
    });

/** For a runtime's `detail`: what of its list was left out. Null when nothing was. */
export const leftOut = (what: string, strange: readonly string[]): string | null =>
  strange.length === 0 ? null : `left out of ${what}: ${strange.join('; ')}`.slice(0, 500);
