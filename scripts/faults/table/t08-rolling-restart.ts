import { setTimeout as pause } from 'node:timers/promises';
import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { askAnyDoor, askAtRate, isOk, tally } from '../load.ts';

const NODES = 6;
const PER_SECOND = 25;
const DRAIN_LIMIT_MS = 35_000;

/** Replicas are stopped politely (`SIGTERM`) and started again, one after the other, under load: nobody may notice, streams end by themselves. */
export const rollingRestart: Fault = {
  id: 'T8',
  title: 'rolling restart, SIGTERM',
  unit: 'restarts',
  base: 20,
  least: 2,
  run: (run) =>
    onStage(
      run,
      {
        nodes: NODES,
        replicas: 2,
        replicaOf: (index) => index % 2,
        isRedisApart: true,
        models: 'story:1b=0.1GB,slots=8,tps=60,ctx=8192,caps=chat,warm',
      },
      async (stage) => {
        let isOver = false;
        const asking = askAtRate({
          perSecond: PER_SECOND,
          isOver: () => isOver,
          // Every tenth is a stream of three seconds, which the drain has to wait for.
          ask: (index) =>
            askAnyDoor(stage, { marker: `r-T8-${index}`, maxTokens: index % 10 === 0 ? 180 : 5 }, { first: index % 2 }),
        });
        const drainMs: number[] = [];
        const backMs: number[] = [];
        for (let restart = 0; restart < run.count; restart += 1) {
          const replica = stage.replicas[restart % 2];
          if (!replica) continue;
          await pause(1_500);
          const { program } = replica;
          const startedMs = performance.now();
          stage.killReplica(replica, 'SIGTERM');
          await program.exited;
          drainMs.push(performance.now() - startedMs);
          await stage.restartReplica(replica);
          const listensAtMs = performance.now();
          await Promise.all(stage.nodes.map((node) => node.ready(60_000)));
          backMs.push(performance.now() - listensAtMs);
        }
        await pause(500);
        isOver = true;
        const told = await asking;
        const failed = told.filter((one) => !isOk(one));
        return {
          lost: failed.length,
          figures: [
            figure('SIGTERM → process gone', drainMs, { of: 'max', ms: DRAIN_LIMIT_MS }),
            figure('replica listens again → all agents are in', backMs),
          ],
          misses: failed.length > 0 ? [`requests of clients with two doors: ${tally(told)}`] : [],
          notes: [
            `${told.length} requests at ${PER_SECOND}/s: ${tally(told)}; ${told.filter(({ tries }) => tries > 1).length} of them needed the other door`,
          ],
        };
      },
    ),
};
