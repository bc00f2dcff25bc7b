import type { z } from 'zod';
import { nameOf } from './json-scan.ts';

type Issue = z.core.$ZodIssue;

/** The field that is wrong, as OpenAI would name it (`messages[3].content`), and what is wrong with it. */
export const problemIn = (error: z.ZodError): { readonly param: string; readonly message: string } => {
  const [issue] = error.issues;
  if (!issue) return { param: '', message: 'Invalid input' };
  const { path, message } = innermost(issue);
  return { param: nameOf(path), message };
};

/** Of several shapes that a value may have, the one that fits farthest says best what is wrong. */
const innermost = (issue: Issue): { path: readonly PropertyKey[]; message: string } => {
  if (issue.code !== 'invalid_union') return issue;
  const inner = issue.errors.flatMap(([first]) => (first ? [innermost(first)] : []));
  const deepest = inner.reduce<(typeof inner)[number] | null>(
    (best, each) => (best === null || each.path.length > best.path.length ? each : best),
    null,
  );
  if (!deepest) return issue;
  if (deepest.path.length > 0) return { path: [...issue.path, ...deepest.path], message: deepest.message };
  const expected = [
    ...new Set(issue.errors.flatMap(([first]) => (first && 'expected' in first ? [String(first.expected)] : []))),
  ];
  return { path: issue.path, message: expected.length > 0 ? `expected ${expected.join(' or ')}` : deepest.message };
};
