import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { problemsIn } from '@lai/shared/command-failure';
import { z } from 'zod';

const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'use HH:MM, from 00:00 to 23:59');
const ms = z.number().int().nonnegative();

export const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;

/** Every evening, or on the evenings named; `to` before `from` goes over midnight and belongs to the day it began on. */
export const QuietHours = z.strictObject({
  days: z.array(z.enum(WEEKDAYS)).nonempty().optional(),
  from: timeOfDay,
  to: timeOfDay,
});
export type QuietHours = z.infer<typeof QuietHours>;

export const GamingPolicy = z
  .strictObject({
    /** Look for games, or go by wishes and quiet hours alone. */
    detect: z.boolean().default(true),
    /** A game must be seen this long before it counts, and be gone this long before it is over: loading screens and crashes to desktop. */
    enterMs: ms.default(5_000),
    leaveMs: ms.default(60_000),
    /** Running requests may end by themselves for `graceMs`, or are cut short at once. */
    whileBusy: z.enum(['finish', 'cancel']).default('finish'),
    graceMs: ms.default(10_000),
    /** How long an unload and the proof that the memory is free may take before an engine of ours is stopped for it. */
    stopEngineAfterMs: ms.default(2_500),
    quietHours: z.array(QuietHours).default([]),
    /** Parts of program names, any case: these always count as games, those never. */
    games: z.array(z.string().min(2)).default([]),
    notGames: z.array(z.string().min(2)).default([]),
    /** Whether wishes that come over the coordinator are obeyed. */
    operator: z.enum(['obey', 'ignore']).default('obey'),
    /** Requests that force this node in spite of a game. */
    forcedRequests: z.enum(['allow', 'refuse']).default('allow'),
  })
  .prefault({});
export type GamingPolicy = z.infer<typeof GamingPolicy>;

/** The machine's owner has the last word: this file, on the machine, wins over everything that comes over the wire. */
export const Policy = z.strictObject({
  gaming: GamingPolicy,
  keepAwake: z.boolean().default(true),
  /** Whether the agent may be brought to another version over the wire; the owner can always install one by hand. */
  updates: z.enum(['allow', 'forbid']).default('allow'),
});
export type Policy = z.infer<typeof Policy>;

export const DEFAULT_POLICY: Policy = Object.freeze(Policy.parse({}));

export const policyPath = (dataDir: string): string => join(dataDir, 'policy.json');

export type PolicyReading =
  | { readonly kind: 'policy'; readonly policy: Policy }
  | { readonly kind: 'wrong'; readonly problem: string };

/** A missing file is the default policy. */
export const readPolicy = (path: string): PolicyReading => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return { kind: 'policy', policy: DEFAULT_POLICY };
  }
  try {
    const parsed = Policy.safeParse(JSON.parse(text));
    if (parsed.success) return { kind: 'policy', policy: parsed.data };
    return { kind: 'wrong', problem: `${path} cannot be used: ${problemsIn(parsed.error).join('; ')}.` };
  } catch (error) {
    return { kind: 'wrong', problem: `${path} is not JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
};

/** The owner's policy, read again when the file changes; a broken file changes nothing but is told once. Single reader of the file. */
export class PolicyFile {
  readonly #path: string;
  readonly #onProblem: (problem: string) => void;
  #stamp = '';
  #policy: Policy = DEFAULT_POLICY;

  constructor(dataDir: string, onProblem: (problem: string) => void) {
    this.#path = policyPath(dataDir);
    this.#onProblem = onProblem;
    this.refresh();
  }

  get policy(): Policy {
    return this.#policy;
  }

  /** True when the policy is another one now. */
  refresh(): boolean {
    const stamp = this.#look();
    if (stamp === this.#stamp) return false;
    this.#stamp = stamp;
    const reading = readPolicy(this.#path);
    if (reading.kind === 'wrong') {
      this.#onProblem(reading.problem);
      return false;
    }
    this.#policy = reading.policy;
    return true;
  }

  #look(): string {
    try {
      const { mtimeMs, size, ino } = statSync(this.#path);
      return `${mtimeMs} ${size} ${ino}`;
    } catch {
      return 'none';
    }
  }
}
