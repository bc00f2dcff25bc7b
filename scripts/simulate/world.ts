import type { Ground } from './breaks.ts';
import { Client } from './client.ts';
import { Machine } from './fleet/machine.ts';
import { Replica } from './fleet/replica.ts';
import type { Happening, History } from './history.ts';
import type { Plan, RequestPlan, Step } from './plan/plan.ts';
import { Random } from './random.ts';
import { SimulatedRedis } from './store/redis.ts';
import { leasesOn } from './store/stores.ts';
import { Timeline } from './timeline.ts';

/** Everything there is in one run: time, Redis, replicas, machines, clients. Steps are done to it; invariants look at it. */
export class World {
  readonly plan: Plan;
  readonly timeline = new Timeline();
  readonly redis: SimulatedRedis;
  readonly machines: readonly Machine[];
  readonly replicas: Replica[] = [];
  readonly clients: Client[] = [];
  /** Models that some load of failed. */
  readonly failedLoads = new Set<string>();
  /** When a replica last was frozen or died: for as long as a lease lives, what it held stays held, or has ended unknown to it. */
  lastAbsenceAtMs = Number.NEGATIVE_INFINITY;
  readonly #random: Random;
  readonly #ground: Ground;
  readonly #history: History;
  readonly #leasedEpochs = new Map<string, number>();
  #births = 0;

  constructor(options: { plan: Plan; ground: Ground; tell: (world: World, happening: Happening) => void }) {
    const { plan, ground } = options;
    this.plan = plan;
    this.#ground = ground;
    this.#history = {
      tell: (happening) => {
        if (happening.kind === 'load.answered' && happening.code !== null) this.failedLoads.add(happening.model);
        options.tell(this, happening);
      },
    };
    this.#random = new Random(plan.seed).fork('world');
    this.redis = new SimulatedRedis(this.timeline, this.#random.fork('redis'));
    for (let at = 0; at < plan.replicas; at += 1) this.replicas.push(this.#newReplica());
    this.machines = plan.nodes.map((node) => this.#newMachine(node));
    for (const step of plan.steps) this.timeline.after(step.atMs, () => this.#do(step));
  }

  get alive(): readonly Replica[] {
    return this.replicas.filter((replica) => replica.isAlive);
  }

  /** Its way to Redis and to its nodes works, as far as it can know. */
  isCalm(replica: Replica): boolean {
    return replica.isAlive && !replica.clock.isFrozen && replica.redis.isUp;
  }

  /** No slot is held by anybody, nor on its way to be. */
  get isQuiet(): boolean {
    return (
      this.alive.every(({ leases, matching }) => leases.held + matching.waiting + matching.running === 0) &&
      this.machines.every(({ id }) => leasesOn(this.redis.data, id, this.timeline.nowMs).length === 0)
    );
  }

  /** The replica that holds the node's connection. */
  ownerOf(nodeId: string): Replica | undefined {
    return this.alive.find(({ registry }) => registry.session(nodeId)?.isOpen === true);
  }

  /** Null when nobody is there to take it: the client's connection is refused. */
  arrive(request: RequestPlan): Client | null {
    const replica = this.replicas[request.replica % this.replicas.length];
    const open = replica?.isAlive ? replica : this.alive[0];
    if (!open) return null;
    const client = new Client({ request, replica: open, timeline: this.timeline, history: this.#history });
    this.clients.push(client);
    return client;
  }

  #newReplica(): Replica {
    this.#births += 1;
    const { timeline } = this;
    const id = `replica-${this.#births}`;
    const shared = { store: this.redis, ground: this.#ground, history: this.#history, leasedEpochs: this.#leasedEpochs };
    return new Replica({ id, timeline, ...shared });
  }

  #newMachine(plan: Plan['nodes'][number]): Machine {
    const random = this.#random.fork(plan.id);
    const door = () => (this.alive.length > 0 ? random.pick(this.alive) : null);
    return new Machine({ plan, timeline: this.timeline, random, history: this.#history, door });
  }

  #do(step: Step): void {
    if (step.kind !== 'request') this.#history.tell({ kind: 'step', what: wordsOf(step) });
    const later = (call: () => void) => void ('forMs' in step && this.timeline.after(step.forMs, call));
    switch (step.kind) {
      case 'request':
        this.arrive(step.request);
        return;
      case 'redis.remember':
        this.redis.remember();
        return;
      case 'redis.down':
        this.redis.goDown(step.memory);
        later(() => this.redis.comeBack());
        return;
      case 'redis.hang':
        this.redis.hang();
        later(() => this.redis.comeBack());
        return;
      case 'redis.slow':
        this.redis.note();
        this.redis.slowByMs = 60;
        later(() => {
          this.redis.note();
          this.redis.slowByMs = 0;
        });
        return;
      case 'redis.cut': {
        const replica = this.replicas[step.replica % this.replicas.length];
        replica?.redis.cut();
        later(() => replica?.redis.mend());
        return;
      }
      case 'replica.freeze': {
        const replica = this.replicas[step.replica % this.replicas.length];
        this.lastAbsenceAtMs = this.timeline.nowMs;
        replica?.clock.freeze();
        later(() => {
          this.lastAbsenceAtMs = this.timeline.nowMs;
          replica?.clock.thaw();
        });
        return;
      }
      case 'replica.kill':
        this.#killReplica(step.replica % this.replicas.length, step.forMs);
        return;
      default: {
        const machine = this.machines[step.node % this.machines.length];
        if (machine) doToMachine(machine, step);
      }
    }
  }

  #killReplica(at: number, forMs: number): void {
    const replica = this.replicas[at];
    if (!replica?.isAlive) return;
    this.lastAbsenceAtMs = this.timeline.nowMs;
    replica.kill();
    for (const client of this.clients) if (client.replica === replica && !client.isOver) client.replicaDied();
    this.timeline.after(forMs, () => {
      this.replicas[at] = this.#newReplica();
    });
  }
}

const doToMachine = (machine: Machine, step: Extract<Step, { node: number }>): void => {
  switch (step.kind) {
    case 'node.kill':
      machine.kill(step.forMs, false);
      return;
    case 'node.power':
      machine.kill(step.forMs, true);
      return;
    case 'node.drop':
      machine.drop(step.forMs);
      return;
    case 'node.partition':
      machine.partition(step.forMs);
      return;
    case 'node.freeze':
      machine.freeze(step.forMs);
      return;
    case 'node.hold':
      machine.hold(step.forMs);
      return;
    case 'node.crash':
      machine.engine.crash(null);
      return;
    case 'node.stall':
      machine.engine.stall(step.forMs);
      return;
    case 'node.unload':
      machine.engine.unloadIdle();
      return;
    case 'node.bad-loads':
      machine.engine.failLoads(step.forMs);
      return;
    case 'node.foreign-memory':
      machine.engine.takeMemory(step.share, step.forMs);
  }
};

const wordsOf = (step: Step): string => {
  const { atMs: _when, kind, ...facts } = step;
  const words = Object.entries(facts).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? Math.round(value * 100) / 100 : value}`,
  );
  return [kind, ...words].join(', ');
};
