import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { Affinity } from './affinity.ts';
import { systemClock } from './clock.ts';
import { Cooldowns } from './cooldowns.ts';
import { Figures } from './figures.ts';
import type { JobQueue } from './job-queue.ts';
import { Leases } from './leases.ts';
import { Loads } from './loads.ts';
import { Matching } from './matching.ts';
import type { Nodes } from './nodes.ts';
import { Quarantine } from './quarantine.ts';
import { newTicket, type Ticket } from './ticket.ts';

/** No nodes, and a queue in which everybody waits. */
const startMatching = (limits: { waitingPerKey: number; heldBytes: number }) => {
  const log = pino({ level: 'silent' });
  const clock = systemClock;
  const queue: JobQueue = {
    ...{ name: 'q', add: async () => {}, take: async () => null, complete: async () => {}, remove: async () => {} },
    ...{
      stateOf: async () => 'waiting',
      renew: async () => {},
      recover: async () => {},
      first: async () => [],
      count: async () => 0,
    },
  };
  const nodes: Nodes = {
    ...{ list: () => [], snapshot: () => null, link: () => undefined, onChange: () => () => {}, onReturn: () => () => {} },
  };
  const figures = new Figures();
  const quarantine = new Quarantine({ store: { add: async () => 0, all: async () => new Map() }, clock });
  const claims = { claim: async () => true, release: async () => {} };
  const leases = new Leases({
    store: {
      ...{ isUp: () => true, onUp: () => {}, renew: async () => {}, release: async () => {} },
      claim: async () => ({ kind: 'full', nodeTaken: 0, modelTaken: 0 }),
    },
    ...{ clock, log },
  });
  const matching = new Matching({
    ...{ replicaId: 'me', nodes, queues: { of: () => queue }, leases, figures, quarantine, clock, log },
    loads: new Loads({ nodes, claims, figures, clock, onDone: () => {}, log }),
    ...{ cooldowns: new Cooldowns(clock), affinity: new Affinity(clock) },
    ...{ isStoreUp: () => true, isAlone: () => true, isReplicaThere: () => true },
    events: { foreignJob: () => false, durableJob: () => {}, added: () => {}, freed: () => {}, makesRoom: () => {} },
    limits: { waiting: 100, waitingPerTarget: 100, ...limits },
  });
  let count = 0;
  /** As the dispatcher does: whatever comes of asking, the ticket leaves in the end. */
  const ask = async (keyId: string, bodyBytes = 1): Promise<string> => {
    count += 1;
    const ticket: Ticket = newTicket(
      {
        ...{ requestId: `r${count}`, keyId, target: { model: 'm', capabilities: [], contextTokens: 0 }, priorityClass: 'normal' },
        ...{ weight: 1, bodyBytes, fingerprint: `f${count}`, affinity: [], deadlineMs: clock.nowMs() + 60_000 },
      },
      clock.nowMs(),
    );
    try {
      // Throws at once when it is refused; otherwise it waits.
      void matching.admit(ticket).catch(() => {});
      return 'waits';
    } catch (error) {
      matching.leave(ticket, { outcome: 'refused', nodeId: null });
      return (error as { code: string }).code;
    }
  };
  const close = () => {
    matching.close();
    quarantine.close();
    leases.close();
  };
  return { matching, ask, close };
};

describe('the bounds of the queue', () => {
  it('hold however often somebody is refused', async () => {
    const { matching, ask, close } = startMatching({ waitingPerKey: 2, heldBytes: 1_000 });
    expect([await ask('ann'), await ask('ann')]).toEqual(['waits', 'waits']);
    for (let count = 0; count < 5; count += 1) expect(await ask('ann')).toBe('rate_limit_exceeded');
    expect(await ask('ben')).toBe('waits');
    expect(matching.waiting).toBe(3);
    close();
  });

  it('are of bytes as well', async () => {
    const { ask, close } = startMatching({ waitingPerKey: 100, heldBytes: 1_000 });
    expect(await ask('ann', 900)).toBe('waits');
    for (let count = 0; count < 5; count += 1) expect(await ask('ann', 200)).toBe('queue_full');
    expect(await ask('ann', 100)).toBe('waits');
    close();
  });
});
