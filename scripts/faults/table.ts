import type { Fault } from './fault.ts';
import { agentKilledBeforeFirstByte } from './table/t01-agent-killed-before-first-byte.ts';
import { agentKilledMidStream } from './table/t02-agent-killed-mid-stream.ts';
import { silentPartition } from './table/t03-silent-partition.ts';
import { badLines } from './table/t04-bad-lines.ts';
import { agentStopped } from './table/t05-agent-stopped.ts';

/** Every fault, in the order in which they run. */
export const FAULTS: readonly Fault[] = [
  agentKilledBeforeFirstByte,
  agentKilledMidStream,
  silentPartition,
  badLines,
  agentStopped,
];
