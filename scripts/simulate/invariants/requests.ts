import type { Invariant } from './invariant.ts';

/** I3, with the time that a client's own slowness or a frozen coordinator takes left out. */
const LATE_MS = 1_000;

export const endsOnceInTime: Invariant = {
  name: 'every request ends once, and in time',
  watch: (world, violated) => ({
    see: (happening) => {
      if (happening.kind === 'request.ended' && happening.how !== 'dead' && happening.lateMs > LATE_MS) {
        violated(`${happening.requestId} ended ${Math.round(happening.lateMs)} ms after its time`);
      }
    },
    atRest: () => {
      for (const client of world.clients) if (!client.isOver) violated(`${client.request.id} never ended`);
    },
  }),
};

/** I4: content of one attempt only. */
export const oneAnswer: Invariant = {
  name: 'nobody sees pieces of two answers',
  watch: (_world, violated) => {
    const seen = new Map<string, string>();
    return {
      see: (happening) => {
        if (happening.kind !== 'request.content') return;
        const { requestId, attemptId } = happening;
        const first = seen.get(requestId) ?? attemptId;
        seen.set(requestId, first);
        if (first !== attemptId) violated(`${requestId} got content of ${first} and then of ${attemptId}`);
      },
    };
  },
};

const MOST_ATTEMPTS = 3;

export const fewAttempts: Invariant = {
  name: 'at most three attempts count, each on another connection',
  watch: (_world, violated) => {
    const epochs = new Map<string, Set<number>>();
    return {
      see: (happening) => {
        if (happening.kind === 'attempt.started') {
          const place = `${happening.requestId} ${happening.nodeId}`;
          epochs.set(place, (epochs.get(place) ?? new Set()).add(happening.epoch));
        }
        if (happening.kind !== 'request.ended') return;
        const { requestId, attempts } = happening;
        if (attempts.length > MOST_ATTEMPTS) violated(`${requestId} had ${attempts.length} attempts`);
        const tries = attempts.map((words) => words.split(' ')).filter(([, outcome]) => outcome !== 'node_lost');
        for (const [nodeId = ''] of tries) {
          const count = tries.filter(([other]) => other === nodeId).length;
          const connections = epochs.get(`${requestId} ${nodeId}`)?.size ?? 0;
          if (count > connections) violated(`${requestId} was tried ${count} times on ${connections} connections of ${nodeId}`);
        }
      },
    };
  },
};

/** I7: a lease that was claimed on one connection starts nothing on another. */
export const noStaleEpoch: Invariant = {
  name: 'no attempt starts on another connection than its lease is for',
  watch: (_world, violated) => ({
    see: (happening) => {
      if (happening.kind !== 'attempt.started' || happening.epoch === happening.leasedEpoch) return;
      const { attemptId, nodeId, epoch, leasedEpoch } = happening;
      violated(`${attemptId} on ${nodeId} started in epoch ${epoch}, leased in ${leasedEpoch}`);
    },
  }),
};

export const nodesUnderstand: Invariant = {
  name: 'nodes can read what they are sent',
  watch: (_world, violated) => ({
    see: (happening) => {
      if (happening.kind === 'message.unreadable') violated(happening.what);
    },
  }),
};
