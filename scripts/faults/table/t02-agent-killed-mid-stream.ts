import { setTimeout as pause } from 'node:timers/promises';
import type { Told } from '../asking.ts';
import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { describeEnding } from '../load.ts';
import { askThroughSdk } from '../sdk.ts';
import type { Stage } from '../stage.ts';
import type { StageNode } from '../stage-node.ts';

const NODES = 16;
const AT_ONCE = 6;
const LATEST_KILL_MS = 400;
/** Each cuts two or three; more than this means that none is hit. */
const MOST_STREAMS_PER_KILL = 8;
/** Every so many requests come from the unmodified OpenAI client. */
const SDK_EVERY = 4;

/** The node that answers loses its agent (`kill -9`) while the client is reading: exactly one error event, no `[DONE]`, and the SDK throws. */
export const agentKilledMidStream: Fault = {
  id: 'T2',
  title: 'agent kill -9 in mid-stream',
  unit: 'kills',
  base: 5_000,
  run: (run) =>
    onStage(
      run,
      { nodes: NODES, models: 'story:1b=0.1GB,slots=4,tps=50,ctx=8192,caps=chat,warm', agentFlags: 'quick' },
      async (stage) => {
        const struck = new Map<string, number>();
        const reading = new Map<string, string>();
        const told: (Told & { readonly thrown?: string | null })[] = [];
        let kills = 0;
        const strike = (name: string): void => {
          const node = stage.node(name);
          if (node.state !== 'ready') return;
          const atMs = performance.now();
          node.kill();
          kills += 1;
          for (const [marker, where] of reading) if (where === name) struck.set(marker, atMs);
          void revive(stage, node).catch((error: unknown) => run.say(String(error)));
        };
        let asked = 0;
        const askNext = async (): Promise<void> => {
          while (kills < run.count && asked < MOST_STREAMS_PER_KILL * run.count) {
            asked += 1;
            const marker = `r-T2-${asked}`;
            await roomFor(stage, AT_ONCE);
            const onContent = (node: string) => {
              if (reading.has(marker)) return;
              reading.set(marker, node);
              setTimeout(() => strike(node), stage.random.between(0, LATEST_KILL_MS));
            };
            const request = { marker, maxTokens: 400, onContent };
            const answer = await (asked % SDK_EVERY === 0 ? askThroughSdk(stage, request) : stage.ask(request));
            reading.delete(marker);
            told.push(answer);
            if (told.length % 100 === 0) run.say(`${kills} of ${run.count}`);
          }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, askNext));
        const faulted = told.filter(({ marker }) => struck.has(marker));
        const wrong = faulted.filter(
          ({ ending }) => !(ending.type === 'fail' && ending.how === 'event' && ending.code === 'node_lost'),
        );
        const throughSdk = faulted.filter(({ thrown }) => thrown !== undefined);
        const silent = throughSdk.filter(({ thrown }) => thrown !== 'node_lost');
        return {
          count: kills,
          lost: wrong.length,
          figures: [
            figure(
              'kill -9 → error event at the client',
              faulted.flatMap(({ marker, errorAtMs }) => (errorAtMs === null ? [] : [errorAtMs - (struck.get(marker) ?? 0)])),
              { of: 'max', ms: 500 },
            ),
          ],
          misses: [
            ...wrong.slice(0, 5).map((one) => `${one.marker} did not get the one error event: ${describeEnding(one)}`),
            ...silent.slice(0, 5).map(({ marker, thrown }) => `${marker}: the openai client threw ${thrown ?? 'nothing'}`),
            ...(kills < run.count ? [`only ${kills} agents could be killed`] : []),
            ...(throughSdk.length === 0 && run.count >= SDK_EVERY ? ['no stream of the openai client was hit'] : []),
          ],
          notes: [
            `${faulted.length} streams were cut; ${throughSdk.length} of them were read by the openai client, which threw each time`,
          ],
        };
      },
    ),
};

const revive = async (stage: Stage, node: StageNode): Promise<void> => {
  await node.agent?.exited;
  await stage.revive(node);
};

const roomFor = async (stage: Stage, nodes: number): Promise<void> => {
  while (stage.nodes.filter(({ state }) => state === 'ready').length < nodes) await pause(5);
};
