import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Program } from '../../e2e/program.ts';
import { ChaosProxy } from '../chaos-proxy.ts';
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
      const crowd = await ChaosProxy.start({ to: { host: '127.0.0.1', port: Number(new URL(stage.url).port) } });
      const program = new Program('light agents', [
        join(import.meta.dirname, '..', 'light-agents.ts'),
        ...[join(stage.folder, 'c'), `http://127.0.0.1:${crowd.port}`, String(AGENTS)],
      ]);
      const inMs: number[] = [];
      const probeMs: number[] = [];
      let mostRssMb = 0;
      try {
        const isAll = await allIn(program);
        await isAll(0);
        for (let storm = 1; storm <= run.count; storm += 1) {
          await pause(2_000);
          const startedMs = performance.now();
          const done = isAll(storm);
          let isOver = false;
          void done.then(() => {
            isOver = true;
          });
          crowd.resetAll();
          while (!isOver) {
            probeMs.push(await probe(stage));
            mostRssMb = Math.max(mostRssMb, rssMb(stage));
            await pause(PROBE_EVERY_MS);
          }
          inMs.push((await done) - startedMs);
        }
      } finally {
        program.kill('SIGKILL');
        await program.exited;
        await crowd.close();
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

/** Resolves with the moment (our clock) at which all were in for the n-th time. */
const allIn = async (program: Program): Promise<(time: number) => Promise<number>> => {
  const times: number[] = [];
  program.onLine((line) => {
    const { what, atMs } = JSON.parse(line) as { what: string; atMs: number };
    if (what === 'all') times.push(atMs - performance.timeOrigin);
  });
  let ended: unknown = null;
  void program.exited.then((how) => {
    ended = how;
  });
  return async (time) => {
    for (;;) {
      const atMs = times[time];
      if (atMs !== undefined) return atMs;
      if (ended !== null) throw new Error(`the light agents ended (${ended}):\n${program.text}`);
      await pause(5);
    }
  };
};

const probe = async (stage: Stage): Promise<number> => {
  const startedMs = performance.now();
  await (await fetch(`${stage.url}/livez`)).text();
  return performance.now() - startedMs;
};

const rssMb = (stage: Stage): number =>
  (Number(/VmRSS:\s+(\d+)/.exec(readText(`/proc/${stage.replicas[0]?.program.pid}/status`))?.[1] ?? 0) * 1024) / MB;
