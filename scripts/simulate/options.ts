import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { BREAKS, type Break, isBreak } from './breaks.ts';
import { PROFILES, type Profile } from './plan/moods.ts';

export interface Options {
  readonly runs: number;
  /** Of the first run; the others follow. */
  readonly seed: number;
  readonly profile: Profile | null;
  readonly break: Break | null;
  readonly threads: number;
  readonly isTraced: boolean;
  /** Under which name the first failing run is kept. */
  readonly keepAs: string | null;
  readonly planFile: string | null;
}

export const USAGE = `usage: npm run simulate -- [options]
  --runs <n>        so many runs (1000)
  --seed <s>        the first one's seed; the others' follow (1)
  --profile <name>  all runs about one kind of trouble: ${PROFILES.join(', ')}
  --threads <n>     side by side (one per core)
  --trace           prints everything that happens in the first run, and runs only that
  --keep <name>     makes the first failing run as small as it gets and writes it to kept/<name>.json
  --plan <file>     runs a kept plan instead of seeds
  --break <name>    with a bug put under the core: ${Object.keys(BREAKS).join(', ')}`;

/** Throws one sentence for the person who typed. */
export const readOptions = (argv: readonly string[]): Options => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      runs: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      profile: { type: 'string' },
      break: { type: 'string' },
      threads: { type: 'string', default: String(availableParallelism()) },
      trace: { type: 'boolean', default: false },
      keep: { type: 'string' },
      plan: { type: 'string' },
    },
  });
  const profile = PROFILES.find((name) => name === values.profile) ?? null;
  if (values.profile !== undefined && !profile) throw new Error(`There is no profile "${values.profile}".`);
  const broken = values.break ?? null;
  if (broken !== null && !isBreak(broken)) throw new Error(`There is no break "${broken}".`);
  if (values.keep !== undefined && !/^[a-z0-9-]+$/.test(values.keep)) throw new Error('--keep wants a name in kebab-case.');
  if (values.plan !== undefined && !existsSync(values.plan)) throw new Error(`There is no plan ${values.plan}.`);
  return {
    runs: whole('--runs', values.runs),
    seed: whole('--seed', values.seed),
    profile,
    break: broken,
    threads: whole('--threads', values.threads),
    isTraced: values.trace,
    keepAs: values.keep ?? null,
    planFile: values.plan ?? null,
  };
};

const whole = (name: string, given: string): number => {
  const number = Number(given);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${name} wants a whole number, not "${given}".`);
  return number;
};
