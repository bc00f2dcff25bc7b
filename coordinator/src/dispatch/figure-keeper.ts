import type { Logger } from 'pino';
import { z } from 'zod';
import { isUp, type LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import { repeat, systemClock } from './clock.ts';
import type { Figures } from './figures.ts';
import type { Nodes } from './nodes.ts';

const KEEP_MS = 5_000;
/** What was learned of a node that has not been seen for a month is out of date. */
const FORGET_SECONDS = 30 * 24 * 3_600;

const reading = z.number().nonnegative().nullable().default(null);
const Kept = z.object({
  ...{ loadMs: reading, firstContentMs: reading, attemptMs: reading, needBytes: reading },
  ...{ prefillTokensPerSecond: reading, tokensPerSecond: reading },
});

/** Keeps learned figures in Redis, so that a restarted coordinator, and the other replicas, need not learn them again. */
export const keepFigures = ({
  redis,
  figures,
  registry,
  log,
}: {
  redis: LaiRedis;
  figures: Figures;
  registry: Pick<Nodes, 'list' | 'onReturn'>;
  log: Logger;
}): (() => void) => {
  const recalled = new Set<string>();

  const recall = async (nodeId: string) => {
    if (recalled.has(nodeId) || !isUp(redis)) return;
    recalled.add(nodeId);
    try {
      for (const [model, json] of Object.entries(await redis.hgetall(keys.figures(nodeId)))) {
        const kept = Kept.safeParse(JSON.parse(json));
        if (kept.success) figures.recall(nodeId, model, kept.data);
      }
    } catch (error) {
      recalled.delete(nodeId);
      log.debug({ err: error, nodeId }, 'figures not recalled yet');
    }
  };

  const forget = registry.onReturn((nodeId) => void recall(nodeId));
  const stop = repeat(systemClock, KEEP_MS, () => {
    if (!isUp(redis)) return;
    // Those that came while Redis was away.
    for (const { nodeId } of registry.list()) void recall(nodeId);
    for (const [nodeId, models] of figures.takeChanges()) {
      const fields = [...models].flatMap(([model, known]) => [model, JSON.stringify(known)]);
      redis.hset(keys.figures(nodeId), ...fields).catch(() => {});
      redis.expire(keys.figures(nodeId), FORGET_SECONDS).catch(() => {});
    }
  });
  return () => {
    forget();
    stop();
  };
};
