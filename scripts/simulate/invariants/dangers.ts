import type { Invariant } from './invariant.ts';

const MOST_ENGINES = 2;

/**
 * T18: whatever the size of the fleet, as far as one coordinator can know. It can not when an engine dies while the way to it is broken
 * and the agent lives: what the connection carried is lost, and the same agent returns.
 */
export const fewEnginesKilled: Invariant = {
  name: 'one request kills two engines at most',
  watch: (_world, violated) => {
    const startedBy = new Map<string, string>();
    const kills = new Map<string, number>();
    const unheard = new Map<string, string>();
    const count = (text: string, attemptId: string) => {
      const who = `"${text}" by ${startedBy.get(attemptId)}`;
      const engines = (kills.get(who) ?? 0) + 1;
      kills.set(who, engines);
      if (engines > MOST_ENGINES) violated(`${who} has killed ${engines} engines`);
    };
    return {
      see: (happening) => {
        if (happening.kind === 'attempt.started') startedBy.set(happening.attemptId, happening.replicaId);
        if (happening.kind === 'engine.died' && happening.by !== null) {
          const { text, attemptId } = happening.by;
          if (happening.withMachine) count(text, attemptId);
          else unheard.set(attemptId, text);
        }
        if (happening.kind !== 'attempt.settled' || happening.outcome !== 'engine_crashed') return;
        const text = unheard.get(happening.attemptId);
        unheard.delete(happening.attemptId);
        if (text !== undefined) count(text, happening.attemptId);
      },
    };
  },
};

interface Try {
  readonly asked: string;
  readonly nodeId: string;
  mayHaveKilled: boolean;
}

/** Nobody is blocked for the network: what was never on an engine, nor on its way to a machine that then died, has killed nothing. */
export const noInnocentBlocked: Invariant = {
  name: 'only who was on two engines is blocked',
  watch: (_world, violated) => {
    const asked = new Map<string, string>();
    const tries = new Map<string, Try>();
    return {
      see: (happening) => {
        switch (happening.kind) {
          case 'request.arrived': {
            const { id, text, tokens, poison, failChance } = happening.request;
            asked.set(id, JSON.stringify([text, tokens, poison, failChance]));
            return;
          }
          case 'attempt.started': {
            const { attemptId, requestId, nodeId } = happening;
            tries.set(attemptId, { asked: asked.get(requestId) ?? '', nodeId, mayHaveKilled: false });
            return;
          }
          case 'run.began': {
            const attempt = tries.get(happening.attemptId);
            if (attempt) attempt.mayHaveKilled = true;
            return;
          }
          case 'engine.died':
            for (const attempt of tries.values()) attempt.mayHaveKilled ||= attempt.nodeId === happening.nodeId;
            return;
          case 'request.ended': {
            if (happening.how !== 'request_quarantined') return;
            const what = asked.get(happening.requestId);
            const suspects = [...tries.values()].filter((attempt) => attempt.asked === what && attempt.mayHaveKilled);
            if (suspects.length < MOST_ENGINES)
              violated(`${happening.requestId} was on ${suspects.length} engines and is blocked`);
          }
        }
      },
    };
  },
};

/** T19: as long as Redis is there to agree on it, and by one coordinator always. */
export const oneLoadAtATime: Invariant = {
  name: 'one cold load of a model at a time',
  watch: (world, violated) => {
    const loading = new Map<string, { readonly replicaId: string; readonly nodeId: string; readonly atMs: number }[]>();
    return {
      see: (happening) => {
        if (happening.kind !== 'load.asked' && happening.kind !== 'load.answered' && happening.kind !== 'replica.died') return;
        if (happening.kind === 'replica.died') {
          for (const [model, loads] of loading)
            loading.set(
              model,
              loads.filter(({ replicaId }) => replicaId !== happening.replicaId),
            );
          return;
        }
        const { model, replicaId, nodeId } = happening;
        const others = loading.get(model) ?? [];
        if (happening.kind === 'load.answered') {
          loading.set(
            model,
            others.filter((load) => load.replicaId !== replicaId || load.nodeId !== nodeId),
          );
          return;
        }
        loading.set(model, [...others, { replicaId, nodeId, atMs: world.timeline.nowMs }]);
        for (const other of others) {
          const wasAgreed =
            world.redis.lastTroubleAtMs < other.atMs - 3_000 && world.redis.isUp && world.lastAbsenceAtMs < other.atMs - 20_000;
          // As dispatch/loads.ts: one that takes so long may never end.
          if (world.timeline.nowMs - other.atMs >= 60_000) continue;
          if (other.replicaId === replicaId || wasAgreed) {
            violated(`${replicaId} has ${nodeId} load ${model} while ${other.replicaId} has ${other.nodeId} load it`);
          }
        }
      },
    };
  },
};

const COMMANDS_PER_SECOND = 4_000;

/** Whatever goes wrong, nobody asks Redis the same thing without end. */
export const redisIsSpared: Invariant = {
  name: 'Redis is not asked without end',
  watch: (world, violated) => {
    const counts: number[] = [];
    return {
      look: () => {
        counts.push(world.redis.commands);
        const before = counts.at(-3);
        if (before !== undefined && world.redis.commands - before > COMMANDS_PER_SECOND) {
          violated(`${world.redis.commands - before} commands in a second`);
        }
      },
    };
  },
};
