import { setTimeout as pause } from 'node:timers/promises';
import type { Told } from '../asking.ts';
import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import type { Stage } from '../stage.ts';
import type { StageNode } from '../stage-node.ts';

const NODES = 24;
const PREFILL_MS = 300;
/** Well before the engine's first token, so that no answer can have begun. */
const LATEST_KILL_MS = 150;
const AT_ONCE = 6;

interface Case {
  readonly marker: string;
  firstNode: StageNode | null;
  /** Where it went next; a request that loses two nodes is blocked, as it should be. */
  nextNode: StageNode | null;
  killedAtMs: number | null;
  closedAtMs: number | null;
  againAtMs: number | null;
}

/** Each request's first node loses its agent (`kill -9`) at a random point before the first token. The client must not notice. */
export const agentKilledBeforeFirstByte: Fault = {
  id: 'T1',
  title: 'agent kill -9 before the first byte',
  unit: 'requests',
  base: 10_000,
  run: (run) =>
    onStage(run, { nodes: NODES, tuning: { prefillMs: PREFILL_MS }, agentFlags: 'quick' }, async (stage) => {
      const cases = new Map<string, Case>();
      const told: Told[] = [];
      let kills = 0;
      stage.onWire((node, event) => {
        if (event.kind === 'dispatch' && event.marker !== null) {
          const known = cases.get(event.marker);
          if (!known) return;
          if (known.firstNode === null) {
            known.firstNode = node;
            setTimeout(() => strike(node), stage.random.between(0, LATEST_KILL_MS));
          } else {
            known.againAtMs ??= event.atMs;
            known.nextNode = node;
          }
        }
        if (event.kind === 'closed')
          for (const one of cases.values()) if (one.firstNode === node && one.killedAtMs !== null) one.closedAtMs ??= event.atMs;
      });
      const strike = (node: StageNode): void => {
        if (node.state !== 'ready' || [...cases.values()].some(({ nextNode }) => nextNode === node)) return;
        const killedAtMs = performance.now();
        node.kill();
        kills += 1;
        for (const one of cases.values()) if (one.firstNode === node && one.againAtMs === null) one.killedAtMs ??= killedAtMs;
        void node.agent?.exited.then(() => stage.revive(node)).catch((error: unknown) => run.say(String(error)));
      };
      let asked = 0;
      const askNext = async (): Promise<void> => {
        while (told.filter(isFaulted(cases)).length + inFlight() < run.count && asked < run.count * 1.5) {
          asked += 1;
          const marker = `r-T1-${asked}`;
          await roomFor(stage, AT_ONCE);
          cases.set(marker, { marker, firstNode: null, nextNode: null, killedAtMs: null, closedAtMs: null, againAtMs: null });
          const answer = await stage.ask({ marker, maxTokens: 4 });
          told.push(answer);
          const known = cases.get(marker);
          if (known) known.nextNode = null;
          if (told.length % 100 === 0) run.say(`${told.length} of ${run.count}`);
        }
      };
      const inFlight = () => cases.size - told.length;
      await Promise.all(Array.from({ length: AT_ONCE }, askNext));
      const faulted = told.filter(isFaulted(cases));
      const failed = faulted.filter(({ ending }) => ending.type !== 'ok');
      const measured = faulted.flatMap(({ marker }) => cases.get(marker) ?? []);
      return {
        count: faulted.length,
        lost: failed.length,
        figures: [
          figure('connection closed → dispatched to another node', between(measured, 'closedAtMs', 'againAtMs'), {
            of: 'p99',
            ms: 200,
          }),
          figure('kill -9 → dispatched to another node', between(measured, 'killedAtMs', 'againAtMs')),
        ],
        misses: [
          ...failed.slice(0, 5).map(({ marker, ending }) => `${marker} was not answered: ${describe(ending)}`),
          ...(faulted.length < run.count ? [`only ${faulted.length} requests could be hit`] : []),
        ],
        notes: [`${kills} agents were killed; ${told.length - faulted.length} requests were not hit in time and do not count`],
      };
    }),
};

const isFaulted =
  (cases: ReadonlyMap<string, Case>) =>
  ({ marker }: Told): boolean =>
    cases.get(marker)?.killedAtMs != null;

/** A request needs a node to lose and an empty one to be answered by; starts would also take the CPU from what is measured. */
const roomFor = async (stage: Stage, atOnce: number): Promise<void> => {
  while (stage.nodes.filter(({ state }) => state === 'ready').length < 2 * atOnce) await pause(5);
};

const between = (cases: readonly Case[], from: 'closedAtMs' | 'killedAtMs', to: 'againAtMs'): number[] =>
  cases.flatMap((one) => {
    const [start, end] = [one[from], one[to]];
    return start === null || end === null ? [] : [end - start];
  });

const describe = (ending: Told['ending']): string => (ending.type === 'ok' ? 'ok' : `${ending.how} ${ending.code ?? ''}`);
