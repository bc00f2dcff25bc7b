import { setTimeout as pause } from 'node:timers/promises';
import { Crowd } from '../crowd.ts';
import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { readText } from '../proc.ts';
import type { Stage } from '../stage.ts';

const AGENTS = 1_000;
const NODES = 2;
const IN_LIMIT_MS = 3_000;
const PROBE_EVERY_MS = 10;
const MB = 1024 * 1024;
const RSS_LIMIT_MB = 300;

/** A thousand agents lose their connections at the same moment, as when a switch restarts, and all come back. */
export const reconnectStorm: Fault = {
  id: 'T13',
  title: `${AGENTS} agents reconnect at once`,
  unit: 'storms',
  base: 20,
  run: (run) =>
    onStage(run, { nodes: NODES }, async (stage) => {
      const [replica] = stage.replicas;
      if (!replica) throw new Error('no replica');
      const crowd = await Crowd.join(stage, { replica, count: AGENTS, prefix: 'light' });
      const inMs: number[] = [];
      const probeMs: number[] = [];
      let mostRssMb = 0;
      try {
        for (let storm = 0; storm < run.count; storm += 1) {
          await pause(2_000);
          const startedMs = performance.now();
          let isOver = false;
          const done = crowd.allIn(startedMs).finally(() => {
            isOver = true;
          });
          crowd.proxy.resetAll();
          while (!isOver) {
            probeMs.push(await probe(stage));
            mostRssMb = Math.max(mostRssMb, rssMb(stage));
            await pause(PROBE_EVERY_MS);
          }
          inMs.push((await done) - startedMs);
        }
      } finally {
        await crowd.leave();
      }
      return {
        lost: 0,
        figures: [
          figure('connections reset → all are in again', inMs, { of: 'max', ms: IN_LIMIT_MS }),
          figure('other HTTP meanwhile (/livez)', probeMs, { of: 'p99', ms: 250 }),
        ],
        misses: mostRssMb > RSS_LIMIT_MB ? [`the coordinator took ${Math.round(mostRssMb)} MB, not ${RSS_LIMIT_MB}`] : [],
        notes: [
          `the coordinator took at most ${Math.round(mostRssMb)} MB; the agents are the product's own connections, all in one process`,
        ],
      };
    }),
};

const probe = async (stage: Stage): Promise<number> => {
  const startedMs = performance.now();
  await (await fetch(`${stage.url}/livez`)).text();
  return performance.now() - startedMs;
};

const rssMb = (stage: Stage): number =>
  (Number(/VmRSS:\s+(\d+)/.exec(readText(`/proc/${stage.replicas[0]?.program.pid}/status`))?.[1] ?? 0) * 1024) / MB;
