import type { ErrorCode } from '../../../shared/src/errors.ts';
import type { NodeSnapshot } from '../../../shared/src/node.ts';
import type { History } from '../history.ts';
import type { NodePlan } from '../plan/plan.ts';
import type { Random } from '../random.ts';
import { ProcessClock, type Timeline } from '../timeline.ts';
import { Engine } from './engine.ts';
import type { ToNode, ToReplica } from './wire.ts';
import { Wire } from './wire.ts';

const STATUS_DEBOUNCE_MS = 100;
const STATUS_EVERY_MS = 5_000;
/** No word from the coordinator for this long: it is gone. */
const DEAD_MAN_MS = 10_000;
const SLEPT_MS = 5_000;
const HOLD_GRACE_MS = 3_000;

/** Where an agent may connect; answers with the epoch of the connection, or refuses. */
export interface Door {
  accept(machine: Machine, wire: Wire, instanceId: string): Promise<boolean>;
}

/**
 * A machine: agent and engine, through kills, sleep and reconnects. The agent keeps to what agent/src promises: it counts its own slots,
 * stops what nobody listens to any more, and says everything it knows again and again.
 */
export class Machine {
  readonly plan: NodePlan;
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #history: History;
  readonly #door: () => Door | null;
  #instances = 0;
  #clock: ProcessClock;
  engine: Engine;
  #wire: Wire | null = null;
  #generation = 0;
  #sequence = 0;
  #failedConnects = 0;
  #isStatusDue = false;
  #isHeld = false;
  #lastHeardMs = 0;
  #frozenAtMs = 0;
  #isSilenced = false;

  constructor(options: {
    plan: NodePlan;
    timeline: Timeline;
    random: Random;
    history: History;
    door: () => Door | null;
  }) {
    this.plan = options.plan;
    this.#timeline = options.timeline;
    this.#random = options.random;
    this.#history = options.history;
    this.#door = options.door;
    this.#clock = new ProcessClock(options.timeline);
    this.engine = this.#newEngine();
    this.#boot();
  }

  get id(): string {
    return this.plan.id;
  }

  get instanceId(): string {
    return `${this.plan.id}/${this.#instances}`;
  }

  get isConnected(): boolean {
    return this.#wire?.isOpen.node === true && this.#wire.isOpen.replica && !this.#isSilenced && !this.#clock.isFrozen;
  }

  get isWell(): boolean {
    return this.isConnected && !this.#clock.isDead && !this.#isHeld && this.engine.isWell;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  // Faults

  kill(forMs: number, isSilent: boolean): void {
    if (this.#clock.isDead) return;
    this.#clock.kill();
    this.engine.die();
    const wire = this.#wire;
    this.#wire = null;
    if (isSilent) wire?.silence();
    wire?.closeNode(this.#random.between(5, 100));
    this.#timeline.after(forMs, () => {
      wire?.heal();
      this.#clock = new ProcessClock(this.#timeline);
      this.engine = this.#newEngine();
      this.#sequence = 0;
      this.#isHeld = false;
      this.#boot();
    });
  }

  drop(forMs: number): void {
    this.#disconnect(forMs);
  }

  partition(forMs: number): void {
    if (this.#isSilenced) return;
    this.#isSilenced = true;
    this.#wire?.silence();
    const silenced = this.#wire;
    this.#timeline.after(forMs, () => {
      this.#isSilenced = false;
      silenced?.heal();
      if (this.#wire !== silenced) this.#wire?.heal();
    });
  }

  freeze(forMs: number): void {
    if (this.#clock.isDead || this.#clock.isFrozen) return;
    const clock = this.#clock;
    this.#frozenAtMs = this.#timeline.nowMs;
    clock.freeze();
    this.#timeline.after(forMs, () => {
      if (clock.isDead) return;
      const sleptMs = this.#timeline.nowMs - this.#frozenAtMs;
      clock.thaw();
      // Late frames go out first; the agent notices a moment later that it has slept.
      if (sleptMs > SLEPT_MS) clock.after(this.#random.between(0, 2_000), () => this.#disconnect(0));
    });
  }

  hold(forMs: number): void {
    if (this.#clock.isDead || this.#isHeld) return;
    const clock = this.#clock;
    this.#isHeld = true;
    this.#report();
    clock.after(HOLD_GRACE_MS, () => {
      if (this.#isHeld) this.engine.stopAll('preempted');
    });
    clock.after(forMs, () => {
      this.#isHeld = false;
      this.#report();
    });
  }

  // Connection

  #boot(): void {
    this.#instances += 1;
    this.#reportRegularly();
    this.#connectIn(this.#random.between(0, 50));
  }

  #newEngine(): Engine {
    const clock = this.#clock;
    return new Engine({
      nodeId: this.plan.id,
      plan: this.plan,
      clock,
      random: this.#random,
      history: this.#history,
      onChange: () => this.#reportSoon(),
      onMachineDeath: () => this.kill(this.#random.between(1_000, 8_000), this.#random.chance(0.3)),
    });
  }

  #connectIn(ms: number): void {
    this.#generation += 1;
    const generation = this.#generation;
    this.#clock.after(ms, () => {
      if (generation === this.#generation) this.#connect(generation);
    });
  }

  #connect(generation: number): void {
    const door = this.#isSilenced ? null : this.#door();
    if (!door) {
      this.#backOff();
      return;
    }
    const wire = new Wire(this.#timeline, this.#random.fork(`wire ${generation}`));
    const clock = this.#clock;
    // The door attaches both ends when it lets us in.
    door.accept(this, wire, this.instanceId).then(
      (isIn) => {
        if (clock.isDead) wire.closeNode();
        else clock.deliver(() => this.#connected(wire, generation, isIn));
      },
      () => clock.deliver(() => this.#connected(wire, generation, false)),
    );
  }

  #connected(wire: Wire, generation: number, isIn: boolean): void {
    if (generation !== this.#generation) {
      wire.closeNode();
      return;
    }
    if (!isIn) {
      this.#backOff();
      return;
    }
    this.#failedConnects = 0;
    this.#wire = wire;
    if (this.#isSilenced) wire.silence();
    this.#lastHeardMs = this.#clock.nowMs();
    this.#report();
    this.#watchDeadMan(wire);
  }

  /** Reconnects with full jitter. */
  #backOff(): void {
    this.#failedConnects += 1;
    this.#connectIn(50 + this.#random.between(0, Math.min(4_000, 250 * 2 ** this.#failedConnects)));
  }

  #disconnect(backInMs: number): void {
    const wire = this.#wire;
    this.#wire = null;
    wire?.closeNode();
    this.engine.abandonAll();
    this.#connectIn(backInMs + this.#random.between(0, 250));
  }

  #watchDeadMan(wire: Wire): void {
    this.#clock.after(DEAD_MAN_MS, () => {
      if (this.#wire !== wire) return;
      if (this.#clock.nowMs() - this.#lastHeardMs >= DEAD_MAN_MS) this.#disconnect(0);
      else this.#watchDeadMan(wire);
    });
  }

  /** The agent's end of the wire. */
  endOf(wire: Wire): { readonly clock: ProcessClock; receive(message: ToNode): void } {
    return { clock: this.#clock, receive: (message) => this.#receive(wire, message) };
  }

  #receive(wire: Wire, message: ToNode): void {
    this.#lastHeardMs = this.#clock.nowMs();
    const send = (answer: ToReplica) => wire.toReplica(answer);
    switch (message.type) {
      case 'ping':
        send({ type: 'pong' });
        return;
      case 'attempt.start':
        if (this.#isHeld) send({ type: 'attempt.fail', attemptId: message.request.attemptId, code: 'node_held' });
        else this.engine.begin(message.request, send);
        return;
      case 'attempt.cancel':
        this.engine.cancel(message.attemptId);
        return;
      case 'model.load':
        this.#load(message.commandId, message.model, send);
        return;
      case 'close':
        if (this.#wire === wire) this.#disconnect(0);
    }
  }

  #load(commandId: string, model: string, send: (answer: ToReplica) => void): void {
    const answer = (code: ErrorCode | null) => send({ type: 'command.result', commandId, code });
    if (this.#isHeld) {
      answer('node_held');
      return;
    }
    this.engine.load(model, (code) => {
      if (code === null) this.#report();
      answer(code);
    });
  }

  // Report

  #reportRegularly(): void {
    this.#clock.after(STATUS_EVERY_MS, () => {
      this.#report();
      this.#reportRegularly();
    });
  }

  #reportSoon(): void {
    if (this.#isStatusDue) return;
    this.#isStatusDue = true;
    const clock = this.#clock;
    clock.after(STATUS_DEBOUNCE_MS, () => {
      if (this.#isStatusDue) this.#report();
    });
  }

  #report(): void {
    this.#isStatusDue = false;
    this.#wire?.toReplica({ type: 'node.status', snapshot: this.#snapshot() });
  }

  #snapshot(): NodeSnapshot {
    this.#sequence += 1;
    return {
      name: this.plan.id,
      sequence: this.#sequence,
      takenAtMs: this.#clock.nowMs(),
      agentVersion: '0',
      os: { platform: 'linux', release: '6', arch: 'x64' },
      runtimes: [],
      modelDiskFreeBytes: null,
      holds: this.#isHeld ? [{ kind: 'gaming', cause: 'a game', sinceMs: this.#clock.nowMs(), untilMs: null }] : [],
      maxConcurrent: this.plan.maxConcurrent,
      inFlight: this.engine.inFlight,
      ...this.engine.report(),
    };
  }
}
