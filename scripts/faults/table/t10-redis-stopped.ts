import { setTimeout as pause } from 'node:timers/promises';
import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { askAtRate, isOk, tally } from '../load.ts';
import type { Stage } from '../stage.ts';

const NODES = 4;
const PER_SECOND = 20;
const AWAY_MS = 10_000;
const PROBE_EVERY_MS = 20;

/** Redis stops answering for ten seconds without closing anything: stopped (`SIGSTOP`), or behind a black hole, in turns. */
export const redisStopped: Fault = {
  id: 'T10',
  title: 'Redis SIGSTOP or half-open for 10 s',
  isPatient: true,
  unit: 'outages',
  base: 50,
  least: 2,
  run: (run) =>
    onStage(
      run,
      {
        nodes: NODES,
        isRedisApart: true,
        models: 'story:1b=0.1GB,slots=16,tps=200,ctx=8192,caps=chat,warm',
        tuning: { prefillMs: 5 },
      },
      async (stage) => {
        let isOver = false;
        const asking = askAtRate({
          perSecond: PER_SECOND,
          isOver: () => isOver,
          ask: (index) => stage.ask({ marker: `r-T10-${index}`, maxTokens: 5, timeoutMs: 20_000 }),
        });
        const probing = probe(stage, () => isOver);
        const backMs: number[] = [];
        for (let outage = 0; outage < run.count; outage += 1) {
          await pause(1_000);
          backMs.push(await (outage % 2 === 0 ? stop : cutOff)(stage));
        }
        await pause(1_000);
        isOver = true;
        const [told, probeMs] = await Promise.all([asking, probing]);
        const refused = told.filter(({ ending }) => ending.type === 'fail' && ending.how === 'http');
        return {
          lost: 0,
          figures: [
            figure('Redis answers again → first request is answered', backMs, { of: 'p99', ms: 1_500 }),
            figure(
              'refused (503): after',
              refused.map(({ sentAtMs, endedAtMs }) => endedAtMs - sentAtMs),
              { of: 'p99', ms: 4_000 },
            ),
            figure('/livez, which needs no Redis', probeMs, { of: 'p99', ms: 50 }),
          ],
          misses: [],
          notes: [`${told.length} requests at ${PER_SECOND}/s: ${tally(told)}; ${told.filter(isOk).length} of them answered`],
        };
      },
    ),
};

const stop = async (stage: Stage): Promise<number> => {
  stage.redis?.program.kill('SIGSTOP');
  await pause(AWAY_MS);
  stage.redis?.program.kill('SIGCONT');
  return firstAnswer(stage);
};

const cutOff = async (stage: Stage): Promise<number> => {
  stage.redis?.proxy.set('both', { isBlackHole: true });
  await pause(AWAY_MS);
  stage.redis?.proxy.set('both', { isBlackHole: false });
  return firstAnswer(stage);
};

let trials = 0;

const firstAnswer = async (stage: Stage): Promise<number> => {
  const sinceMs = performance.now();
  for (;;) {
    trials += 1;
    if (isOk(await stage.ask({ marker: `r-T10-first-${trials}`, maxTokens: 1, timeoutMs: 10_000 })))
      return performance.now() - sinceMs;
    await pause(20);
  }
};

const probe = async (stage: Stage, isOver: () => boolean): Promise<number[]> => {
  const tookMs: number[] = [];
  while (!isOver()) {
    const startedMs = performance.now();
    await (await fetch(`${stage.url}/livez`)).text();
    tookMs.push(performance.now() - startedMs);
    await pause(PROBE_EVERY_MS);
  }
  return tookMs;
};
