import { Affinity } from '../../../coordinator/src/dispatch/affinity.ts';
import { repeat } from '../../../coordinator/src/dispatch/clock.ts';
import { Cooldowns } from '../../../coordinator/src/dispatch/cooldowns.ts';
import { Dispatcher } from '../../../coordinator/src/dispatch/dispatcher.ts';
import { Figures } from '../../../coordinator/src/dispatch/figures.ts';
import type { JobQueues, TakenJob } from '../../../coordinator/src/dispatch/job-queue.ts';
import type { LeaseStore } from '../../../coordinator/src/dispatch/lease-store.ts';
import { Leases } from '../../../coordinator/src/dispatch/leases.ts';
import { Loads } from '../../../coordinator/src/dispatch/loads.ts';
import { Matching } from '../../../coordinator/src/dispatch/matching.ts';
import type { NodeLink, Nodes } from '../../../coordinator/src/dispatch/nodes.ts';
import { Quarantine } from '../../../coordinator/src/dispatch/quarantine.ts';
import type { Grant } from '../../../coordinator/src/dispatch/ticket.ts';
import type { NodeSession } from '../../../coordinator/src/nodes/node-session.ts';
import { CommandRelay } from '../../../coordinator/src/replicas/command-relay.ts';
import type { Item } from '../../../coordinator/src/replicas/envelope.ts';
import { Relay } from '../../../coordinator/src/replicas/relay.ts';
import type { Replicas } from '../../../coordinator/src/replicas/replicas.ts';
import type { Target } from '../../../coordinator/src/routing/target.ts';
import type { Ground } from '../breaks.ts';
import type { History } from '../history.ts';
import { simulatedQueues } from '../store/queues.ts';
import type { RedisConnection, SimulatedRedis } from '../store/redis.ts';
import { simulatedLeaseStore, simulatedLoadClaims, simulatedStrikeStore } from '../store/stores.ts';
import { ProcessClock, type Timeline } from '../timeline.ts';
import { log } from './log.ts';
import type { Machine } from './machine.ts';
import { observedLink } from './observed-link.ts';
import { SimulatedRegistry } from './registry.ts';
import { SimulatedSession } from './session.ts';
import type { Wire } from './wire.ts';

/** As replicas/replicas.ts and redis/memory.ts. */
const HEARTBEAT_MS = 1_000;
const GONE_MS = 4_000;
type Message =
  | { readonly type: 'jobs.hint'; readonly target: Target }
  | { readonly type: 'slots.freed'; readonly nodeId: string }
  | { readonly type: 'strike'; readonly fingerprint: string; readonly change: 1 | -1 }
  | { readonly type: 'room.made'; readonly nodeId: string; readonly model: string }
  | { readonly type: 'job.granted'; readonly job: TakenJob; readonly grant: Omit<Grant, 'placement'> };

/** The real core, put together as dispatch/dispatch.ts does it, on simulated ground. */
export class Replica {
  readonly id: string;
  readonly clock: ProcessClock;
  readonly redis: RedisConnection;
  readonly registry: SimulatedRegistry;
  readonly dispatcher: Dispatcher;
  readonly matching: Matching;
  readonly leases: Leases;
  readonly quarantine: Quarantine;
  readonly cooldowns: Cooldowns;
  readonly #relay: Relay;
  readonly #commandRelay: CommandRelay;
  readonly #beatListeners: (() => void)[] = [];
  readonly #store: SimulatedRedis;
  readonly #history: History;
  readonly #queues: JobQueues;
  #others: ReadonlySet<string> = new Set();
  #memory: string | null = null;
  #leaseCount = 0;

  constructor(options: {
    id: string;
    timeline: Timeline;
    store: SimulatedRedis;
    ground: Ground;
    history: History;
    /** By lease: the connection it was claimed for, by whichever replica. */
    leasedEpochs: Map<string, number>;
  }) {
    const { id, ground, history, store } = options;
    this.id = id;
    this.#store = store;
    this.#history = history;
    const clock = new ProcessClock(options.timeline);
    this.clock = clock;
    this.redis = store.connect(clock, id);
    const say = log((text) => history.tell({ kind: 'log', replicaId: id, text }));
    const way = {
      replicas: {
        send: (to: string, item: Item) => this.#send(to, item),
        onBeat: (listener: () => void) => this.#beatListeners.push(listener),
      } as unknown as Replicas,
      session: (nodeId: string) => this.registry.session(nodeId) as unknown as NodeSession | undefined,
    };
    this.#relay = new Relay({ ...way, release: (lease) => this.matching.release(lease), log: say });
    this.#commandRelay = new CommandRelay(way);
    this.registry = new SimulatedRegistry({
      replicaId: id,
      redis: this.redis,
      clock,
      remoteLink: (record) => ({ ...this.#relay.link(record), ...this.#commandRelay.link(record) }),
    });
    const { leasedEpochs } = options;
    const nodes = this.#observedNodes(ground, leasedEpochs);
    const figures = new Figures();
    const affinity = new Affinity(clock);
    this.cooldowns = new Cooldowns(clock);
    this.quarantine = new Quarantine({
      ...{ store: simulatedStrikeStore(this.redis), clock },
      onTold: (fingerprint, change) => this.#broadcast({ type: 'strike', fingerprint, change }),
    });
    const leaseStore = ground.leases(rememberEpochs(simulatedLeaseStore(this.redis), leasedEpochs));
    this.leases = new Leases({ store: leaseStore, clock, log: say });
    this.#queues = ground.queues(simulatedQueues(this.redis));
    const claims = ground.loadClaims(simulatedLoadClaims(this.redis, id));
    const loads = new Loads({ nodes, claims, figures, clock, onDone: () => this.matching.pump(), log: say });
    const shared = { nodes, figures, affinity, loads, clock, log: say, cooldowns: this.cooldowns, quarantine: this.quarantine };
    this.matching = new Matching({
      replicaId: id,
      ...shared,
      ...{ queues: this.#queues, leases: this.leases },
      isStoreUp: () => this.redis.isUp,
      isAlone: () => this.#others.size === 0,
      isReplicaThere: (other) => other === id || this.#others.has(other),
      newLeaseId: () => this.#newLeaseId(),
      events: {
        foreignJob: (job, grant) => this.#passOn(job, grant),
        durableJob: () => {},
        added: (target) => this.#broadcast({ type: 'jobs.hint', target }),
        freed: (nodeId) => this.#broadcast({ type: 'slots.freed', nodeId }),
        makesRoom: (nodeId, model) => this.#broadcast({ type: 'room.made', nodeId, model }),
      },
    });
    this.dispatcher = new Dispatcher({ ...shared, matching: this.matching });
    this.registry.onReturn((nodeId, instanceId) => this.quarantine.nodeReturned(nodeId, instanceId));
    this.redis.onUp(() => void this.matching.recheck());
    this.redis.subscribe(`replica ${id}`, (message) => this.#receive(message as { sender: string; item: Item }));
    this.#look();
    repeat(clock, HEARTBEAT_MS, () => this.#look());
    history.tell({ kind: 'replica.born', replicaId: id });
  }

  get isAlive(): boolean {
    return !this.clock.isDead;
  }

  kill(): void {
    this.#history.tell({ kind: 'replica.died', replicaId: this.id });
    this.clock.kill();
    this.#store.forget(this.redis);
    for (const session of this.registry.sessions()) session.vanish();
  }

  /** A node knocks: it gets an epoch, from Redis or from the clock, and a session. */
  async accept(machine: Machine, wire: Wire, instanceId: string): Promise<boolean> {
    if (this.clock.isFrozen) return false; // the agent's patience ends before the door answers
    const next = this.redis.ask(({ epochs }, nowMs) => {
      const epoch = Math.max(Math.ceil(nowMs), (epochs.get(machine.id) ?? 0) + 1);
      epochs.set(machine.id, epoch);
      return epoch;
    });
    const epoch = await next.catch(() => Math.ceil(this.clock.nowMs()));
    const session = new SimulatedSession({
      ...{ nodeId: machine.id, epoch, instanceId, wire, clock: this.clock },
      events: {
        snapshot: (snapshot) => this.registry.observe(session, snapshot),
        liveness: (liveness) => this.registry.setLiveness(session, liveness),
        closed: () => this.registry.remove(session),
        unreadable: (what) => this.#history.tell({ kind: 'message.unreadable', replicaId: this.id, what }),
      },
    });
    wire.attach(machine.endOf(wire), { clock: this.clock, receive: (message) => session.receive(message) });
    this.registry.add(session);
    return true;
  }

  #observedNodes(ground: Ground, leasedEpochs: ReadonlyMap<string, number>): Nodes {
    const { registry } = this;
    const way = (link: NodeLink, nodeId: string): NodeLink =>
      ground.link(observedLink(link, { nodeId, replicaId: this.id, history: this.#history, leasedEpochs }), nodeId);
    return {
      list: () => registry.list(),
      snapshot: (nodeId) => registry.snapshot(nodeId),
      onChange: (listener) => registry.onChange(listener),
      onReturn: (listener) => registry.onReturn(listener),
      link: (nodeId) => {
        const link = registry.link(nodeId);
        return link && way(link, nodeId);
      },
    };
  }

  #newLeaseId(): string {
    this.#leaseCount += 1;
    return `${this.id}-${this.#leaseCount}`;
  }

  // Between replicas, as dispatch/dispatch.ts

  #passOn({ id, token, priority, data }: TakenJob, { placement: _explained, ...grant }: Grant): boolean {
    if (data.origin === null || !this.#others.has(data.origin)) return false;
    this.#say(data.origin, { type: 'job.granted', job: { id, token, priority, data }, grant });
    return true;
  }

  #hear(message: Message): void {
    if (message.type === 'jobs.hint') {
      this.matching.hint(message.target);
    } else if (message.type === 'strike') {
      this.quarantine.hear(message.fingerprint, message.change);
    } else if (message.type === 'room.made') {
      this.matching.keepRoom(message.nodeId, message.model);
    } else if (message.type === 'slots.freed') {
      this.leases.forgetOthers(message.nodeId);
      this.matching.pump();
    } else if (!this.matching.receiveGrant(message.job, { ...message.grant, placement: null })) {
      this.matching.release(message.grant.lease);
      this.#queues
        .of(message.job.data.target)
        .complete(message.job, { outcome: 'abandoned', nodeId: null })
        .catch(() => {});
    }
  }

  #say(to: string, message: Message): void {
    this.#send(to, { kind: 'message', message });
  }

  #broadcast(message: Message): void {
    for (const to of this.#others) this.#say(to, message);
  }

  #send(to: string, item: Item): void {
    // Bytes are never changed; what the core makes of a message is its own.
    const message = { sender: this.id, item: item.kind === 'message' ? structuredClone(item) : item };
    this.redis.publish(`replica ${to}`, message);
  }

  #replicaGone(id: string): void {
    this.#relay.replicaGone(id);
    this.#commandRelay.replicaGone(id);
    this.matching.replicaGone(id);
  }

  #receive({ sender, item }: { sender: string; item: Item }): void {
    const isTaken = this.#relay.take(sender, item) || this.#commandRelay.take(sender, item);
    if (!isTaken && item.kind === 'message') this.#hear(item.message as Message);
  }

  /** Who else is there, and whether Redis still knows what it knew. */
  #look(): void {
    if (!this.redis.isUp) return;
    const answer = this.redis.ask((data, nowMs) => {
      data.replicas.set(this.id, nowMs);
      data.memory ??= `${nowMs}`;
      const there = [...data.replicas].flatMap(([id, atMs]) => (nowMs - atMs <= GONE_MS && id !== this.id ? [id] : []));
      return { there, memory: data.memory };
    });
    answer.then(
      ({ there, memory }) => {
        const gone = [...this.#others].filter((id) => !there.includes(id));
        this.#others = new Set(there);
        for (const id of gone) this.#replicaGone(id);
        for (const listener of this.#beatListeners) listener();
        const isLost = this.#memory !== null && this.#memory !== memory;
        this.#memory = memory;
        if (!isLost) return;
        this.registry.publishAll();
        this.leases.renewAll();
        void this.matching.recheck();
      },
      () => {},
    );
  }
}

const rememberEpochs = (store: LeaseStore, epochs: Map<string, number>): LeaseStore => ({
  ...store,
  claim: (request, ttlMs) => {
    epochs.set(request.id, request.epoch);
    return store.claim(request, ttlMs);
  },
});
