import type { Conditions } from './conditions.ts';
import type { PairedRounds } from './pairs.ts';
import type { Ramp } from './streams-ramp.ts';

/** What was measured of one target. */
export interface Measured {
  readonly name: string;
  readonly version: string;
  readonly idleRssMb: Readonly<Record<string, number>>;
  readonly pairs: readonly PairedRounds[];
  readonly ramp: Ramp | null;
}

/** Everything that a run found out; what `--json` writes. */
export interface RunRecord {
  readonly conditions: Conditions;
  readonly length: 'quick' | 'full';
  readonly isAgentApart: boolean;
  readonly targets: readonly Measured[];
  /** Targets that this machine could not have, as sentences. */
  readonly absent: readonly string[];
}

export const pairsOf = (target: Measured | undefined, scenario: PairedRounds['scenario']): PairedRounds | undefined =>
  target?.pairs.find((pairs) => pairs.scenario === scenario);
