import type { Lease, LeaseAnswer, LeaseStore } from '../../../coordinator/src/dispatch/lease-store.ts';
import type { LoadClaims } from '../../../coordinator/src/dispatch/loads.ts';
import type { StrikeStore } from '../../../coordinator/src/dispatch/quarantine.ts';
import type { RedisData } from './data.ts';
import type { RedisConnection } from './redis.ts';

/** redis/claim-lease.lua and its neighbours, and dispatch/{lease-store,strike-store,load-claims}.ts, on simulated Redis. */

const LOAD_CLAIM_MS = 15_000;

export const simulatedLeaseStore = (redis: RedisConnection): LeaseStore => ({
  isUp: () => redis.isUp,
  onUp: (listener) => redis.onUp(listener),
  claim: ({ id, nodeId, model, epoch, nodeSlots, modelSlots }, ttlMs) =>
    redis.ask((data, nowMs): LeaseAnswer => {
      const [nodePlace, modelPlace] = placesOf({ nodeId, epoch, model });
      const [node, ofModel] = [liveLeases(data, nodePlace, nowMs), liveLeases(data, modelPlace, nowMs)];
      const answer = (kind: LeaseAnswer['kind']) => ({ kind, nodeTaken: node.size, modelTaken: ofModel.size });
      const newest = data.epochs.get(nodeId);
      if (newest !== undefined && newest > epoch) return answer('stale');
      if (!node.has(id) && (node.size >= nodeSlots || ofModel.size >= modelSlots)) return answer('full');
      node.set(id, nowMs + ttlMs);
      ofModel.set(id, nowMs + ttlMs);
      return answer('taken');
    }),
  renew: (lease, ttlMs) =>
    redis.ask((data, nowMs) => {
      for (const key of placesOf(lease)) leasesOf(data, key).set(lease.id, nowMs + ttlMs);
    }),
  release: (lease) =>
    redis.ask((data) => {
      for (const key of placesOf(lease)) leasesOf(data, key).delete(lease.id);
    }),
});

const placesOf = ({ nodeId, epoch, model }: Omit<Lease, 'id'>): [string, string] => [
  `${nodeId}\n${epoch}`,
  `${nodeId}\n${epoch}\n${model}`,
];

const leasesOf = (data: RedisData, key: string): Map<string, number> => {
  const leases = data.leases.get(key) ?? new Map<string, number>();
  data.leases.set(key, leases);
  return leases;
};

/** Leases on a node, over whichever of its connections. */
export const leasesOn = (data: RedisData, nodeId: string, nowMs: number): string[] =>
  [...data.leases.keys()]
    .filter((key) => key.startsWith(`${nodeId}\n`))
    .flatMap((key) => [...liveLeases(data, key, nowMs).keys()]);

const liveLeases = (data: RedisData, key: string, nowMs: number): Map<string, number> => {
  const leases = leasesOf(data, key);
  for (const [id, untilMs] of leases) if (untilMs <= nowMs) leases.delete(id);
  return leases;
};

export const simulatedStrikeStore = (redis: RedisConnection): StrikeStore => ({
  add: ({ id, fingerprint, change }, ttlMs) =>
    redis.ask(({ strikes, strikesTold }, nowMs) => {
      if (strikesTold.has(id)) return liveStrikes(strikes, nowMs).get(fingerprint) ?? 0;
      strikesTold.add(id);
      const count = (liveStrikes(strikes, nowMs).get(fingerprint) ?? 0) + change;
      if (count > 0) strikes.set(fingerprint, { count, untilMs: nowMs + ttlMs });
      else strikes.delete(fingerprint);
      return Math.max(0, count);
    }),
  all: () => redis.ask(({ strikes }, nowMs) => liveStrikes(strikes, nowMs)),
});

const liveStrikes = (strikes: RedisData['strikes'], nowMs: number): Map<string, number> => {
  for (const [fingerprint, { untilMs }] of strikes) if (untilMs <= nowMs) strikes.delete(fingerprint);
  return new Map([...strikes].map(([fingerprint, { count }]) => [fingerprint, count]));
};

export const simulatedLoadClaims = (redis: RedisConnection, replicaId: string): LoadClaims => ({
  claim: (model) =>
    redis.ask(({ loadClaims }, nowMs) => {
      const known = loadClaims.get(model);
      if (known && known.untilMs > nowMs && known.replicaId !== replicaId) return false;
      loadClaims.set(model, { replicaId, untilMs: nowMs + LOAD_CLAIM_MS });
      return true;
    }),
  release: async (model) => {
    const owner = await redis.ask(({ loadClaims }) => loadClaims.get(model)?.replicaId);
    if (owner === replicaId) await redis.ask(({ loadClaims }) => void loadClaims.delete(model));
  },
});
