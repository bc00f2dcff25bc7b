import { setTimeout as pause } from 'node:timers/promises';
import type { Told } from '../asking.ts';
import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { isOk, tally } from '../load.ts';
import type { Stage } from '../stage.ts';
import type { StageNode } from '../stage-node.ts';

const NODES = 10;
const AT_ONCE = 5;
const LONGEST_MS = 60_000;
/** A run of a few stops would last as long as its longest one. */
const LONGEST_OF_FEW_MS = 8_000;
const FEW = 100;

interface Stop {
  readonly stoppedMs: number;
  readonly backAfterMs: number;
  readonly wasDead: boolean;
  readonly told: Told;
}

/**
 * The agent that has a request is stopped (`SIGSTOP`), as by a machine that sleeps, and goes on later. What it still says about a request
 * that was given to somebody else meanwhile counts nowhere (I4, I7), and the node is soon back.
 */
export const agentStopped: Fault = {
  id: 'T5',
  title: 'agent SIGSTOP, SIGCONT',
  isPatient: true,
  unit: 'stops',
  base: 300,
  run: (run) =>
    onStage(
      run,
      { nodes: NODES, models: 'story:1b=0.1GB,slots=4,tps=40,ctx=8192,caps=chat,warm', tuning: { prefillMs: 200 } },
      async (stage) => {
        const longestMs = run.count < FEW ? LONGEST_OF_FEW_MS : LONGEST_MS;
        const stops: Stop[] = [];
        let begun = 0;
        const stopNext = async (): Promise<void> => {
          while (begun < run.count) {
            begun += 1;
            stops.push(await stopOne(stage, `r-T5-${begun}`, stage.random.between(1_000, longestMs)));
          }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, stopNext));
        const unexpected = stops.filter(
          ({ told }) => !isOk(told) && !(told.ending.type === 'fail' && told.ending.code === 'node_lost'),
        );
        return {
          lost: unexpected.length,
          figures: [
            figure(
              'SIGCONT → in service again',
              stops.map(({ backAfterMs }) => backAfterMs),
              { of: 'p99', ms: 2_000 },
            ),
            figure(
              'stopped for',
              stops.map(({ stoppedMs }) => stoppedMs),
            ),
          ],
          misses: unexpected.slice(0, 5).map(({ told }) => `${told.marker} ended as ${tally([told])}`),
          notes: [
            `${stops.filter(({ wasDead }) => wasDead).length} of the nodes were given up meanwhile; requests: ${tally(stops.map(({ told }) => told))}`,
          ],
        };
      },
    ),
};

const stopOne = async (stage: Stage, marker: string, stopMs: number): Promise<Stop> => {
  const found = Promise.withResolvers<StageNode>();
  let isFound = false;
  const forget = stage.onWire((node, event) => {
    if (isFound || event.kind !== 'dispatch' || event.marker !== marker) return;
    isFound = true;
    setTimeout(() => found.resolve(node), stage.random.between(0, 700));
  });
  const answer = stage.ask({ marker, maxTokens: 60, timeoutMs: 90_000 });
  const node = await found.promise;
  forget();
  const { link } = node;
  node.agent?.kill('SIGSTOP');
  await pause(stopMs);
  node.agent?.kill('SIGCONT');
  const resumedAtMs = performance.now();
  const backAfterMs = await backInService(stage, node, resumedAtMs);
  return { stoppedMs: stopMs, backAfterMs, wasDead: node.link !== link, told: await answer };
};

const BACK_LIMIT_MS = 20_000;

/** Counted as alive, and over a connection that stands. */
const backInService = async (stage: Stage, node: StageNode, sinceMs: number): Promise<number> => {
  while (performance.now() < sinceMs + BACK_LIMIT_MS) {
    const { nodes } = await stage.status();
    const view = nodes.find(({ snapshot }) => snapshot?.name === node.name);
    if (view?.liveness === 'alive' && node.state === 'ready') return performance.now() - sinceMs;
    await pause(20);
  }
  return BACK_LIMIT_MS;
};
