import type { Habits } from './habits.ts';
import { type HostedModel, isListed } from './hosted-model.ts';

/** Which model has to go so that `model` may come; undefined when none is there to go. A dead one that is listed goes first. */
export const chooseVictim = (
  models: readonly HostedModel[],
  model: HostedModel,
  eviction: Habits['eviction'],
): HostedModel | undefined => {
  const candidates = models.filter((other) => other !== model && (isListed(other) || other.phase === 'sleeping'));
  const order = eviction === 'least-recent' ? byLastUse : byIdlenessThenKeepAlive;
  return candidates.find((other) => other.phase === 'stale') ?? candidates.toSorted(order)[0];
};

/** How many models besides this one take a place. */
export const countOthers = (models: readonly HostedModel[], model: HostedModel): number =>
  models.filter((other) => other !== model && other.phase !== 'cold' && other.phase !== 'stale').length;

/** Somebody else could go at once. */
export const hasIdle = (models: readonly HostedModel[], model: HostedModel): boolean =>
  models.some((other) => other !== model && other.phase !== 'cold' && other.phase !== 'loading' && other.busy.size === 0);

const byLastUse = (a: HostedModel, b: HostedModel): number => a.lastUsedMs - b.lastUsedMs;

const byIdlenessThenKeepAlive = (a: HostedModel, b: HostedModel): number =>
  Math.sign(a.busy.size) - Math.sign(b.busy.size) ||
  (a.keepAliveMs ?? Number.MAX_SAFE_INTEGER) - (b.keepAliveMs ?? Number.MAX_SAFE_INTEGER);
