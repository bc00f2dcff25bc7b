import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Plan } from './plan/plan.ts';

/** A run that once showed a bug, made small: a plan instead of a seed, since what is drawn from a seed changes with the drawing. */
export interface Kept {
  /** What went wrong, and what was done about it. */
  readonly about: string;
  /** Of the invariant that was violated. */
  readonly violated: string;
  readonly plan: Plan;
}

const folder = new URL('./kept/', import.meta.url);

export const readKept = (): { readonly name: string; readonly kept: Kept }[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .map((file) => ({ name: file.replace('.json', ''), kept: JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Kept }));

export const writeKept = (name: string, kept: Kept): string => {
  const file = new URL(`${name}.json`, folder);
  writeFileSync(file, `${JSON.stringify(kept, null, 2)}\n`);
  return file.pathname;
};
