import type { Fault } from './fault.ts';
import { agentKilledBeforeFirstByte } from './table/t01-agent-killed-before-first-byte.ts';
import { agentKilledMidStream } from './table/t02-agent-killed-mid-stream.ts';
import { silentPartition } from './table/t03-silent-partition.ts';
import { badLines } from './table/t04-bad-lines.ts';
import { agentStopped } from './table/t05-agent-stopped.ts';
import { coordinatorKilled } from './table/t07-coordinator-killed.ts';
import { rollingRestart } from './table/t08-rolling-restart.ts';
import { redisKilled } from './table/t09-redis-killed.ts';
import { redisStopped } from './table/t10-redis-stopped.ts';
import { clockJumps } from './table/t12-clock-jumps.ts';
import { reconnectStorm } from './table/t13-reconnect-storm.ts';
import { poison } from './table/t18-poison.ts';
import { coldHerd } from './table/t19-cold-herd.ts';
import { loadOutOfMemory } from './table/t20-load-out-of-memory.ts';
import { clientLeaves } from './table/t21-client-leaves.ts';
import { simulation } from './table/t30-simulation.ts';

/** Every fault, in the order in which they begin. The patient ones are last, and last of them the one whose figures are the tightest. */
export const FAULTS: readonly Fault[] = [
  agentKilledBeforeFirstByte,
  agentKilledMidStream,
  silentPartition,
  coordinatorKilled,
  rollingRestart,
  redisKilled,
  reconnectStorm,
  poison,
  coldHerd,
  loadOutOfMemory,
  clientLeaves,
  simulation,
  clockJumps,
  badLines,
  agentStopped,
  redisStopped,
];
