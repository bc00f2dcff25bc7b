import { setTimeout as pause } from 'node:timers/promises';
import { Crowd } from '../crowd.ts';
import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { settleJobs, submitJobs } from '../jobs.ts';
import { askAnyDoor, askAtRate, isOk, tally } from '../load.ts';
import type { Stage } from '../stage.ts';

const NODES = 8;
/** Light agents at each replica. */
const CROWD = 46;
const PER_SECOND = 25;
const JOBS_PER_SECOND = 10;
/** A dead coordinator's job is found by the end of its lock, within 16 s; one second is the clock's. */
const ORPHAN_LIMIT_MS = 18_000;
const DOWN_MS = 500;
const BETWEEN_MS = 1_500;

/** One of two replicas is killed (`kill -9`) and comes back; its clients ask at the other door. */
export const coordinatorKilled: Fault = {
  id: 'T7',
  title: 'coordinator kill -9, two replicas',
  unit: 'kills',
  base: 50,
  run: (run) =>
    onStage(
      run,
      {
        nodes: NODES,
        replicas: 2,
        replicaOf: (index) => index % 2,
        isRedisApart: true,
        // Half of the nodes must carry everything, and slots of the dead stay taken for up to 15 s.
        models: 'story:1b=0.1GB,slots=12,tps=100,ctx=8192,caps=chat,warm',
      },
      async (stage) => {
        const crowds = await Promise.all(
          stage.replicas.map((replica, index) => Crowd.join(stage, { replica, count: CROWD, prefix: `light-${index}` })),
        );
        try {
          let isOver = false;
          const asking = askAtRate({
            perSecond: PER_SECOND,
            isOver: () => isOver,
            ask: (index) =>
              askAnyDoor(
                stage,
                { marker: `r-T7-${index}`, maxTokens: stage.random.between(2, 60) },
                { first: index % 2, andNodeLost: true },
              ),
          });
          const submitting = submitJobs(stage, { prefix: 'T7-job', perSecond: JOBS_PER_SECOND, isOver: () => isOver });
          const backMs: number[] = [];
          for (let kill = 0; kill < run.count; kill += 1) {
            await pause(BETWEEN_MS);
            backMs.push(await killAndRestart(stage, kill % 2, crowds));
          }
          await pause(BETWEEN_MS);
          isOver = true;
          const told = await asking;
          const jobs = await submitting;
          const { wrong, tookMs } = await settleJobs(stage, jobs.accepted.values());
          const failed = told.filter((one) => !isOk(one));
          return {
            lost: failed.length + wrong.length,
            figures: [
              figure(`replica listens again → its ${CROWD + NODES / 2} agents are all back`, backMs, { of: 'p99', ms: 5_000 }),
              figure('job accepted → ended (whole seconds)', tookMs, { of: 'max', ms: ORPHAN_LIMIT_MS }),
            ],
            misses: [
              ...(failed.length > 0 ? [`requests of clients that try again: ${tally(told)}`] : []),
              ...wrong.slice(0, 5),
              ...jobs.forked.slice(0, 5).map((fork) => `one idempotency key, two jobs: ${fork}`),
              ...(jobs.refused > 0 ? [`${jobs.refused} jobs were never accepted`] : []),
            ],
            notes: [
              `${told.length} requests at ${PER_SECOND}/s: ${tally(told)}`,
              `${jobs.accepted.size} jobs at ${JOBS_PER_SECOND}/s were accepted, of which ${wrong.length} were lost`,
            ],
          };
        } finally {
          await Promise.all(crowds.map((crowd) => crowd.leave()));
        }
      },
    ),
};

const killAndRestart = async (stage: Stage, index: number, crowds: readonly Crowd[]): Promise<number> => {
  const replica = stage.replicas[index];
  if (!replica) throw new Error(`no replica ${index}`);
  const nodes = stage.nodes.filter((_, place) => place % 2 === index);
  stage.killReplica(replica, 'SIGKILL');
  await pause(DOWN_MS);
  await stage.restartReplica(replica);
  const listensAtMs = performance.now();
  await Promise.all([...nodes.map((node) => node.ready(60_000)), crowds[index]?.allIn(listensAtMs)]);
  return performance.now() - listensAtMs;
};
