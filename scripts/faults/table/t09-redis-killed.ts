import { setTimeout as pause } from 'node:timers/promises';
import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { settleJobs, submitJobs } from '../jobs.ts';
import { askAtRate, isOk, tally } from '../load.ts';
import { redisCli } from '../stage-redis.ts';

const NODES = 6;
const JOBS_PER_SECOND = 200;
const PER_SECOND = 20;
const BETWEEN_MS = 1_500;

/** The coordinator's private Redis is killed (`kill -9`) under load, and started again by the coordinator itself. */
export const redisKilled: Fault = {
  id: 'T9',
  title: `Redis kill -9 under ${JOBS_PER_SECOND} submits/s`,
  unit: 'kills',
  base: 100,
  run: (run) =>
    onStage(
      run,
      { nodes: NODES, models: 'story:1b=0.1GB,slots=16,tps=0,ctx=8192,caps=chat,warm', tuning: { prefillMs: 5 } },
      async (stage) => {
        let isOver = false;
        const asking = askAtRate({
          perSecond: PER_SECOND,
          isOver: () => isOver,
          ask: (index) => stage.ask({ marker: `r-T9-${index}`, maxTokens: 3, timeoutMs: 20_000 }),
        });
        const submitting = submitJobs(stage, { prefix: 'T9-job', perSecond: JOBS_PER_SECOND, isOver: () => isOver });
        const backMs: number[] = [];
        for (let kill = 0; kill < run.count; kill += 1) {
          await pause(stage.random.between(BETWEEN_MS / 2, BETWEEN_MS));
          const pid = Number(/process_id:(\d+)/.exec(await redisCli(stage.redisSocket, 'info', 'server'))?.[1]);
          process.kill(pid, 'SIGKILL');
          const killedAtMs = performance.now();
          await stage.until('Redis is up again', ({ redis }) => redis === 'down', 2_000).catch(() => {});
          await stage.until('Redis is up again', ({ redis }) => redis === 'up', 10_000);
          backMs.push(performance.now() - killedAtMs);
        }
        await pause(BETWEEN_MS);
        isOver = true;
        const told = await asking;
        const jobs = await submitting;
        const { wrong, tookMs } = await settleJobs(stage, jobs.accepted.values());
        const refused = told.filter(({ ending }) => ending.type === 'fail' && ending.how === 'http');
        return {
          lost: wrong.length,
          figures: [
            figure('kill -9 → the coordinator has Redis again', backMs),
            figure(
              'refused (503): after',
              refused.map(({ sentAtMs, endedAtMs }) => endedAtMs - sentAtMs),
              { of: 'p99', ms: 4_000 },
            ),
            figure(
              'answered: after',
              told.filter(isOk).map(({ sentAtMs, endedAtMs }) => endedAtMs - sentAtMs),
            ),
            figure('job submitted (tries included) → 202', jobs.submitMs),
            figure('job accepted → ended (whole seconds)', tookMs),
          ],
          misses: [
            ...wrong.slice(0, 5),
            ...jobs.forked.slice(0, 5).map((fork) => `one idempotency key, two jobs: ${fork}`),
            ...(jobs.refused > 0 ? [`${jobs.refused} jobs were never accepted`] : []),
          ],
          notes: [
            `${jobs.accepted.size} jobs at ${JOBS_PER_SECOND}/s were accepted, of which ${wrong.length} were lost`,
            `${told.length} interactive requests at ${PER_SECOND}/s: ${tally(told)}`,
          ],
        };
      },
    ),
};
