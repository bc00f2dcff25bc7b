import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A new version is on trial until it has been connected once. Who judges it stands outside of it: the launcher, at every start.
 *
 *   none ──switch──► written ──start──► running ──connected──► none (it stays)
 *                                          │ ▲
 *                             crash, hang  │ │ start, in time and not too often
 *                                          ▼ │
 *                                        judged ──else──► rolled back (the version before is current again)
 */
export interface Trial {
  readonly version: string;
  /** What was current before, and will be again if this one fails. */
  readonly previous: string;
  readonly starts: number;
  /** By when it must be connected; null until its first start. */
  readonly deadlineMs: number | null;
}

export interface RolledBack {
  readonly version: string;
  readonly why: string;
  readonly atMs: number;
}

/** Of the process, to the system: start me again, another version is current. */
export const EXIT_OTHER_VERSION = 75;

/** Connected within this after its first start. */
export const TRIAL_MS = 60_000;
/** A version that keeps crashing is not given the whole minute. */
export const MAX_STARTS = 3;

export type TrialStep =
  | { readonly kind: 'none' }
  | { readonly kind: 'run'; readonly trial: Trial; readonly remainingMs: number }
  | { readonly kind: 'roll back'; readonly trial: Trial; readonly why: string };

/** Pure. What a start means for the version that is current. A trial of a version that is not current is over. */
export const judgeStart = (
  trial: Trial | null,
  { current, hasItsNode, nowMs }: { current: string; hasItsNode: boolean; nowMs: number },
): TrialStep => {
  if (trial === null || trial.version !== current) return { kind: 'none' };
  const deadlineMs = trial.deadlineMs ?? nowMs + TRIAL_MS;
  const started = { ...trial, starts: trial.starts + 1, deadlineMs };
  if (!hasItsNode) return { kind: 'roll back', trial, why: 'the Node that it wants does not run here' };
  if (nowMs >= deadlineMs) return { kind: 'roll back', trial, why: `it was not connected within ${TRIAL_MS / 1_000} seconds` };
  if (started.starts > MAX_STARTS)
    return { kind: 'roll back', trial, why: `it ended ${MAX_STARTS} times before it was connected` };
  // A clock that was set back must not prolong it.
  return { kind: 'run', trial: started, remainingMs: Math.min(deadlineMs - nowMs, TRIAL_MS) };
};

const trialPath = (programDir: string): string => join(programDir, 'trial.json');
const rolledBackPath = (programDir: string): string => join(programDir, 'rolled-back.json');

const readJson = <T>(path: string, isOne: (value: Record<string, unknown>) => boolean): T | null => {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof value === 'object' && value !== null && isOne(value as Record<string, unknown>) ? (value as T) : null;
  } catch {
    return null;
  }
};

const writeJson = (path: string, value: unknown): void => {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(value)}\n`, { flush: true });
  renameSync(draft, path);
};

export const readTrial = (programDir: string): Trial | null =>
  readJson<Trial>(
    trialPath(programDir),
    ({ version, previous, starts, deadlineMs }) =>
      typeof version === 'string' &&
      typeof previous === 'string' &&
      typeof starts === 'number' &&
      (deadlineMs === null || typeof deadlineMs === 'number'),
  );
export const writeTrial = (programDir: string, trial: Trial): void => writeJson(trialPath(programDir), trial);
export const endTrial = (programDir: string): void => rmSync(trialPath(programDir), { force: true });

export const readRolledBack = (programDir: string): RolledBack | null =>
  readJson<RolledBack>(
    rolledBackPath(programDir),
    ({ version, why, atMs }) => typeof version === 'string' && typeof why === 'string' && typeof atMs === 'number',
  );
export const writeRolledBack = (programDir: string, rolledBack: RolledBack): void =>
  writeJson(rolledBackPath(programDir), rolledBack);
export const forgetRolledBack = (programDir: string): void => rmSync(rolledBackPath(programDir), { force: true });
