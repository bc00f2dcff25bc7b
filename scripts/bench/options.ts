import { parseArgs } from 'node:util';
import type { Side } from './program.ts';
import type { ScenarioName } from './scenarios.ts';

const GROUPS: Readonly<Record<string, readonly ScenarioName[]>> = {
  ttft: ['ttft-1', 'ttft-16', 'ttft-64'],
  'ttft-1': ['ttft-1'],
  'ttft-16': ['ttft-16'],
  'ttft-64': ['ttft-64'],
  arrivals: ['arrivals'],
  throughput: ['throughput'],
  relay: ['relay'],
  streams: ['streams'],
};
const RIVALS = ['nginx', 'portkey', 'node-proxy'] as const;
export type Rival = (typeof RIVALS)[number];

export interface Options {
  readonly length: 'quick' | 'full';
  /** Null for all. */
  readonly only: ReadonlySet<ScenarioName> | null;
  readonly rivals: readonly Rival[];
  readonly jsonFile: string | null;
  readonly against: string | null;
  readonly profileFolder: string | null;
  readonly agentSide: Side;
}

export const USAGE = `usage: npm run bench -- [options]
  --quick              about a minute instead of about six
  --only <names>       ${Object.keys(GROUPS).join(', ')}; several with commas
  --beside <names>     what Lai is compared with: ${RIVALS.join(', ')} (all of them), or none
  --against <git-ref>  compares with Lai as it was at that commit, instead of with others
  --agent-apart        the agent on the engine's core, as on a node of its own, instead of on the measured core
  --json <file>        everything that was measured
  --profile <folder>   CPU profiles of coordinator and agent`;

/** Throws one sentence for the person who typed. */
export const readOptions = (argv: readonly string[]): Options => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      beside: { type: 'string', multiple: true },
      against: { type: 'string' },
      'agent-apart': { type: 'boolean', default: false },
      json: { type: 'string' },
      profile: { type: 'string' },
    },
  });
  const only = listed(values.only);
  const beside = listed(values.beside);
  return {
    length: values.quick ? 'quick' : 'full',
    only: only === null ? null : new Set(only.flatMap((name) => GROUPS[name] ?? unknown('scenario', name, Object.keys(GROUPS)))),
    rivals: beside === null ? RIVALS : beside.filter((name) => name !== 'none').map(rival),
    jsonFile: values.json ?? null,
    against: values.against ?? null,
    profileFolder: values.profile ?? null,
    agentSide: values['agent-apart'] ? 'load' : 'target',
  };
};

const listed = (given: readonly string[] | undefined): string[] | null =>
  given === undefined ? null : given.flatMap((words) => words.split(',').filter((word) => word !== ''));

const rival = (name: string): Rival => RIVALS.find((known) => known === name) ?? unknown('target', name, RIVALS);

const unknown = (what: string, name: string, known: readonly string[]): never => {
  throw new Error(`There is no ${what} "${name}". Choose from: ${known.join(', ')}.`);
};
