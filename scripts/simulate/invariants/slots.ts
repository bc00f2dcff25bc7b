import { targetOf } from '../client.ts';
import { leasesOn } from '../store/stores.ts';
import type { Invariant } from './invariant.ts';

/** I5: after quiet nothing is held, reserved or counted, here or in Redis, that nobody uses. */
export const nothingLeft: Invariant = {
  name: 'nothing is left over',
  watch: (world, violated) => ({
    atRest: () => {
      const { nowMs } = world.timeline;
      for (const { id, matching, leases, quarantine } of world.alive) {
        if (matching.waiting !== 0) violated(`${id} has ${matching.waiting} requests waiting`);
        if (matching.running !== 0) violated(`${id} has ${matching.running} requests running`);
        if (leases.held !== 0) violated(`${id} holds ${leases.held} leases`);
        for (const { fingerprint, request } of world.clients) {
          const { kind } = quarantine.permission(fingerprint);
          if (kind === 'wait' || kind === 'confined') violated(`${id} still counts copies of "${request.text}" (${kind})`);
        }
        for (const model of new Set(world.plan.nodes.flatMap((node) => node.models.map((entry) => entry.id)))) {
          const reserved = matching.preview(targetOf(model)).refusals.find(({ reason }) => reason === 'reserved');
          if (reserved) violated(`${id} keeps ${reserved.nodeId} reserved`);
        }
      }
      for (const { id, engine } of world.machines) {
        if (engine.inFlight !== 0) violated(`${id} has ${engine.inFlight} attempts in flight`);
        const held = leasesOn(world.redis.data, id, nowMs);
        if (held.length !== 0) violated(`Redis holds leases on ${id}: ${held.join(', ')}`);
      }
    },
  }),
};

/** When nothing goes wrong, leases and the node's own books agree: no slot is given that the node does not have. */
export const slotsAgree: Invariant = {
  name: 'while all is well no node is asked for a slot it has not',
  watch: (world, violated) => ({
    see: (happening) => {
      if (happening.kind !== 'attempt.refused' || happening.code !== 'node_busy') return;
      if (world.plan.steps.every(({ kind }) => kind === 'request'))
        violated(`${happening.nodeId} had no slot for ${happening.attemptId}`);
    },
  }),
};

const BESIDE_FREE_MS = 15_000;
const LEASE_MS = 15_000;
const LOOK_MS = 500;

/** A slot that has been free for a long time, on a machine that is well, and somebody who has waited for it all the while. */
export const nobodyWaitsBesideAFreeSlot: Invariant = {
  name: 'nobody waits beside a free slot',
  watch: (world, violated) => {
    /** By request and node: for how many looks both have been so. */
    const beside = new Map<string, number>();
    const tried = new Map<string, Set<string>>();
    return {
      see: (happening) => {
        if (happening.kind !== 'attempt.started') return;
        tried.set(happening.requestId, (tried.get(happening.requestId) ?? new Set()).add(happening.nodeId));
      },
      look: () => {
        // What a replica that is not there, or did not hear, was given stays its own for as long as a lease lives.
        const troubleAtMs = Math.max(world.lastAbsenceAtMs, world.redis.lastTroubleAtMs);
        const isRedisWell = world.redis.isUp && world.redis.slowByMs === 0 && world.timeline.nowMs - troubleAtMs > LEASE_MS;
        for (const client of world.clients) {
          if (!client.isWaiting) continue;
          const { request, replica, fingerprint } = client;
          const isCalm = isRedisWell && world.isCalm(replica);
          const isFree = replica.quarantine.permission(fingerprint).kind === 'free';
          for (const machine of world.machines) {
            const place = `${request.id} ${machine.id}`;
            const models = request.model === 'auto' ? machine.plan.models.map(({ id }) => id) : [request.model];
            const hasSlot = models.some(
              (model) =>
                machine.engine.freeSlots(model) > 0 && replica.cooldowns.untilMs(machine.id, model) <= world.timeline.nowMs,
            );
            const owner = world.ownerOf(machine.id);
            const isThere = machine.isWell && owner !== undefined && world.isCalm(owner);
            const isFor = isCalm && isFree && isThere && hasSlot && !tried.get(request.id)?.has(machine.id);
            const looks = isFor ? (beside.get(place) ?? 0) + 1 : 0;
            beside.set(place, looks);
            if (looks * LOOK_MS !== BESIDE_FREE_MS) continue;
            // The whole node is one dangerous request's, for as long as that runs: by the machine's word, since a reservation can be forgotten.
            const { refusals } = replica.matching.preview(targetOf(request.model));
            const isReserved = refusals.some(({ nodeId, reason }) => nodeId === machine.id && reason === 'reserved');
            if (isReserved && machine.engine.inFlight > 0) beside.set(place, 0);
            else violated(`${request.id} has waited for ${BESIDE_FREE_MS} ms beside ${machine.id}`);
          }
        }
      },
    };
  },
};
