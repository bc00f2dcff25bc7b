import { z } from 'zod';

/** How `lai` and `lai-agent` end: 0 it worked, 1 it did not, 2 it was asked in the wrong words. Sentences only, never a stack. */

/** The words of the person who typed were wrong, as opposed to the world: exit code 2. */
export class UsageError extends Error {}

export const exitCodeOf = (error: unknown): 1 | 2 => (error instanceof UsageError ? 2 : 1);

/** What is printed of a failure: the sentence of an error of ours; of others what they mean, without internals. */
export const sentenceOf = (error: unknown): string => {
  if (error instanceof z.ZodError) return `An answer was not of the expected shape: ${problemsIn(error).join('; ')}.`;
  const { code, path, message } = error as { code?: unknown; path?: unknown; message?: unknown };
  const file = typeof path === 'string' ? path : null;
  if (typeof code === 'string' && file !== null && FILE_PROBLEMS[code]) return `${file} ${FILE_PROBLEMS[code]} (${code}).`;
  const text = typeof message === 'string' && message !== '' ? message : String(error);
  return /[.?!:]$|\n/.test(text) ? text : `${text}.`;
};

const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  EACCES: 'may not be used by this user',
  EPERM: 'may not be used by this user',
  ENOENT: 'does not exist',
  EISDIR: 'is a directory, and a file is expected',
  ENOTDIR: 'lies below something that is no directory',
  ENOSPC: 'cannot be written: the disk is full',
  EROFS: 'cannot be written: the disk is read-only',
};

/** What is wrong with a file or an answer, in short words. */
export const problemsIn = (error: z.ZodError): string[] =>
  error.issues.slice(0, 3).map((issue) => `${issue.path.join('.') || 'the whole'}: ${wordsFor(issue)}`);

/** One sentence per wrong setting, each with the names under which people set it and what is expected of it. */
export const settingsProblem = (
  program: string,
  error: z.ZodError,
  settings: { values: Readonly<Record<string, unknown>>; nameOf: (setting: string) => string },
): UsageError => {
  const first = new Map(error.issues.map((issue) => [String(issue.path[0] ?? ''), issue] as const).reverse());
  const lines = [...first].reverse().map(([setting, issue]) => {
    const value = SECRET.test(setting) ? 'not usable' : JSON.stringify(settings.values[setting]);
    return `${settings.nameOf(setting)} is ${value}: ${wordsFor(issue)}.`;
  });
  return new UsageError([`The settings of ${program} cannot be used.`, ...lines].join(' '));
};

/** What must not be repeated on a screen or in a log. */
const SECRET = /key|secret|token|password|databaseUrl|redisUrl/i;

/** Zod's own texts are for programmers: `expected number, received NaN`. */
const wordsFor = (issue: z.core.$ZodIssue): string => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'number' || issue.expected === 'int' ? 'use a whole number' : `use a ${issue.expected}`;
    case 'too_big':
      return `use at most ${issue.maximum}${issue.origin === 'string' ? ' characters' : ''}`;
    case 'too_small':
      return `use ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${issue.origin === 'string' ? ' characters' : ''}`;
    case 'invalid_value':
      return `use one of ${issue.values.join(', ')}`;
    case 'invalid_format':
      return issue.format === 'url' ? 'use an address such as http://127.0.0.1:11434' : issue.message;
    default:
      return issue.message;
  }
};
