import { parseArgs } from 'node:util';

export interface Options {
  readonly scale: number;
  readonly seed: number;
  /** Null for all. */
  readonly only: ReadonlySet<string> | null;
  readonly jsonFile: string | null;
  readonly historyFolder: string | null;
}

export const USAGE = `usage: npm run faults -- [options]
  --scale <F>       counts of the fault table times F (default 0.1, which takes up to ten minutes)
  --only <ids>      some faults: T1,T3
  --seed <n>        where and when faults strike (default: another one each time; it stands on the page)
  --json <file>     everything that was measured
  --history <dir>   keep the history of every fault, not only of those that failed`;

/** Throws one sentence for the person who typed. */
export const readOptions = (argv: readonly string[], known: readonly string[]): Options => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      scale: { type: 'string', default: '0.1' },
      seed: { type: 'string' },
      only: { type: 'string', multiple: true },
      json: { type: 'string' },
      history: { type: 'string' },
    },
  });
  const scale = Number(values.scale);
  if (!(scale > 0 && scale <= 10)) throw new Error('--scale takes a number above 0, up to 10.');
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error('--seed takes a whole number.');
  const only = values.only?.flatMap((words) =>
    words
      .split(',')
      .filter((word) => word !== '')
      .map((word) => word.toUpperCase()),
  );
  const stranger = only?.find((id) => !known.includes(id));
  if (stranger !== undefined) throw new Error(`There is no fault "${stranger}". Choose from: ${known.join(', ')}.`);
  return {
    scale,
    seed,
    only: only === undefined ? null : new Set(only),
    jsonFile: values.json ?? null,
    historyFolder: values.history ?? null,
  };
};
