import { setTimeout as pause } from 'node:timers/promises';
import type { Told } from '../asking.ts';
import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { describeEnding, isOk } from '../load.ts';
import { type LogLine, NODE_GONE, readLog } from '../log-lines.ts';
import type { Stage } from '../stage.ts';
import type { StageNode } from '../stage-node.ts';

const PAIRS = 5;
const PREFILL_MS = 700;
const DEATH_LIMIT_MS = 10_000;
/** The node has taken the request, and its first token is far: at any point between two pings. */
const AFTER_ACCEPT_MS = [20, 520] as const;

const modelOf = (pair: number): string => `pair${pair}:1b`;

interface Trial {
  readonly kind: 'before' | 'after';
  readonly told: Told;
  /** From when the node could have answered and did not. */
  readonly fromMs: number;
  readonly deadAfterMs: number | null;
}

/**
 * A node falls silent in both directions without a word, as when a cable is pulled. Every other time it does so before the request comes
 * (nobody knows yet: the accept deadline saves it), every other time right after it has taken one (the pings find out).
 */
export const silentPartition: Fault = {
  id: 'T3',
  title: 'silent partition, both ways',
  unit: 'partitions',
  base: 500,
  run: (run) =>
    onStage(
      run,
      {
        nodes: 2 * PAIRS,
        models: (index) => `${modelOf(index >> 1)}=0.1GB,slots=4,tps=200,ctx=8192,caps=chat,warm`,
        tuning: { prefillMs: PREFILL_MS },
      },
      async (stage) => {
        const log = readLog(stage);
        const trials: Trial[] = [];
        let begun = 0;
        const playPair = async (pair: number): Promise<void> => {
          while (begun < run.count) {
            begun += 1;
            const trial = await (begun % 2 === 0 ? partitionBefore : partitionAfter)(stage, log, pair, begun);
            if (trial) trials.push(trial);
            else begun -= 1;
          }
        };
        await Promise.all(Array.from({ length: PAIRS }, (_, pair) => playPair(pair)));
        const of = (kind: Trial['kind']) => trials.filter((trial) => trial.kind === kind);
        // The engine's own time to its first token is no part of how fast we are.
        const answeredMs = (some: readonly Trial[]) =>
          some.flatMap(({ told, fromMs }) =>
            told.firstContentAtMs === null ? [] : [told.firstContentAtMs - fromMs - PREFILL_MS],
          );
        const failed = trials.filter(({ told }) => !isOk(told));
        const undead = trials.filter(({ deadAfterMs }) => deadAfterMs === null);
        return {
          count: trials.length,
          lost: failed.length,
          figures: [
            figure(
              'partition → node counted as dead (busy)',
              of('after').flatMap(({ deadAfterMs }) => deadAfterMs ?? []),
              { of: 'p99', ms: 2_500 },
            ),
            figure('request not accepted → first byte from another node', answeredMs(of('before')), { of: 'p99', ms: 1_500 }),
            figure('partition of an accepted request → first byte from another', answeredMs(of('after')), {
              of: 'p99',
              ms: 3_000,
            }),
          ],
          misses: [
            ...failed.slice(0, 5).map(({ told }) => `${told.marker} was not answered: ${describeEnding(told)}`),
            ...undead
              .slice(0, 5)
              .map(({ told }) => `${told.marker}: the silent node was not noticed within ${DEATH_LIMIT_MS} ms`),
          ],
          notes: [
            `the engine's own time to its first token (${PREFILL_MS} ms) is taken off the figures that end with a first byte`,
          ],
        };
      },
    ),
};

const ready = (stage: Stage, pair: number): Promise<unknown> =>
  Promise.all(stage.nodes.slice(2 * pair, 2 * pair + 2).map((node) => node.ready()));

/** Silence first, then two requests at once, of which one meets it. Null when neither did. */
const partitionBefore = async (stage: Stage, log: LogLine[], pair: number, index: number): Promise<Trial | null> => {
  await ready(stage, pair);
  const victim = stage.nodes[2 * pair + stage.random.between(0, 1)] as StageNode;
  const cutAtMs = cut(victim);
  const told = await Promise.all(
    [1, 2].map((copy) =>
      stage.ask({ marker: `r-T3-${index}-${pair}-${copy}-${Math.round(cutAtMs)}`, model: modelOf(pair), maxTokens: 4 }),
    ),
  );
  const met = told.find(({ attempts }) => attempts > 1) ?? told.find((one) => !isOk(one));
  const deadAfterMs = met ? await death(victim, log, cutAtMs) : null;
  await heal(victim);
  return met ? { kind: 'before', told: met, fromMs: met.sentAtMs, deadAfterMs } : null;
};

/** The node takes the request, then silence. */
const partitionAfter = async (stage: Stage, log: LogLine[], pair: number, index: number): Promise<Trial | null> => {
  await ready(stage, pair);
  const marker = `r-T3-${index}-${pair}-${Math.round(performance.now())}`;
  let attempt: string | null = null;
  const struck = Promise.withResolvers<{ node: StageNode; atMs: number }>();
  const forget = stage.onWire((node, event) => {
    if (event.kind === 'dispatch' && event.marker === marker) attempt ??= event.attemptId;
    if (event.kind === 'agent' && event.message.type === 'attempt.accept' && event.message.attemptId === attempt)
      setTimeout(() => struck.resolve({ node, atMs: cut(node) }), stage.random.between(...AFTER_ACCEPT_MS));
  });
  const [told, { node, atMs }] = await Promise.all([stage.ask({ marker, model: modelOf(pair), maxTokens: 4 }), struck.promise]);
  forget();
  const deadAfterMs = await death(node, log, atMs);
  await heal(node);
  return { kind: 'after', told, fromMs: atMs, deadAfterMs };
};

const cut = (node: StageNode): number => {
  node.proxy.set('both', { isBlackHole: true });
  return performance.now();
};

const death = async (node: StageNode, log: readonly LogLine[], sinceMs: number): Promise<number | null> => {
  while (performance.now() < sinceMs + DEATH_LIMIT_MS) {
    const line = log.find(({ msg, name, atMs }) => msg === NODE_GONE && name === node.name && atMs >= sinceMs - 1);
    if (line) return line.atMs - sinceMs;
    await pause(10);
  }
  return null;
};

const heal = async (node: StageNode): Promise<void> => {
  const { link } = node;
  node.proxy.set('both', { isBlackHole: false });
  // The end that the partition hid comes through now, if there was one.
  for (const deadline = performance.now() + 300; node.link === link && performance.now() < deadline; ) await pause(10);
  await node.ready();
};
