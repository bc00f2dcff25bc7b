import type { AttemptRequest } from '../../../coordinator/src/nodes/node-session.ts';
import type { ChunkKind } from '../../../shared/src/attempt.ts';
import type { ErrorCode } from '../../../shared/src/errors.ts';
import type { LoadedModel, NodeSnapshot } from '../../../shared/src/node.ts';
import type { Culprit, History } from '../history.ts';
import { GIB, type ModelPlan, type NodePlan, type RequestPlan } from '../plan/plan.ts';
import type { Random } from '../random.ts';
import type { ProcessClock } from '../timeline.ts';
import type { ToReplica } from './wire.ts';

const RESTART_MS = 2_000;

interface Run {
  readonly request: AttemptRequest;
  readonly asks: RequestPlan;
  readonly model: Model;
  readonly startedAtMs: number;
  readonly send: (answer: ToReplica) => void;
  firstContentMs: number | null;
  sent: number;
  isEnding: boolean;
  cancelTotal: () => void;
  cancelWatch: () => void;
  cancelNext: () => void;
}

interface Model {
  readonly plan: ModelPlan;
  state: 'cold' | 'loading' | 'warm';
  inFlight: number;
  readonly waiting: ((code: ErrorCode | null) => void)[];
  lastUsedAtMs: number;
}

/**
 * The agent's books and the engine behind them: slots (never more than there are, whatever the coordinator believes), models in and out
 * of memory, tokens on a clock, and every way to fail.
 */
export class Engine {
  readonly #nodeId: string;
  readonly #plan: NodePlan;
  readonly #clock: ProcessClock;
  readonly #random: Random;
  readonly #history: History;
  readonly #onChange: () => void;
  readonly #onMachineDeath: () => void;
  readonly #models: Map<string, Model>;
  readonly #runs = new Map<string, Run>();
  #life = 0;
  #isDown = false;
  #stalledUntilMs = 0;
  #badLoadsUntilMs = 0;
  #foreignBytes = 0;
  /** What was used when; a GPU's reading is old. */
  #used: { readonly atMs: number; readonly bytes: number }[] = [];

  constructor(options: {
    nodeId: string;
    plan: NodePlan;
    clock: ProcessClock;
    random: Random;
    history: History;
    onChange: () => void;
    onMachineDeath: () => void;
  }) {
    this.#nodeId = options.nodeId;
    this.#plan = options.plan;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#history = options.history;
    this.#onChange = options.onChange;
    this.#onMachineDeath = options.onMachineDeath;
    this.#models = new Map(
      options.plan.models.map((plan) => [
        plan.id,
        { plan, state: plan.isWarm ? 'warm' : 'cold', inFlight: 0, waiting: [], lastUsedAtMs: 0 },
      ]),
    );
    this.#noteUse();
  }

  get inFlight(): number {
    return this.#runs.size;
  }

  get isWell(): boolean {
    const nowMs = this.#clock.nowMs();
    return !this.#isDown && this.#stalledUntilMs <= nowMs && this.#badLoadsUntilMs <= nowMs;
  }

  /** Attempts that it would still take. */
  freeSlots(model: string): number {
    const entry = this.#models.get(model);
    if (entry?.state !== 'warm') return 0;
    return Math.min(entry.plan.slots - entry.inFlight, this.#plan.maxConcurrent - this.#runs.size);
  }

  // Attempts

  begin(request: AttemptRequest, send: (answer: ToReplica) => void): void {
    const { attemptId } = request;
    const model = this.#models.get(request.model);
    const refuse = (code: ErrorCode) => {
      this.#history.tell({ kind: 'attempt.refused', nodeId: this.#nodeId, attemptId, code });
      send({ type: 'attempt.fail', attemptId, code });
    };
    if (!model || model.inFlight >= model.plan.slots || this.#runs.size >= this.#plan.maxConcurrent) {
      refuse(model ? 'node_busy' : 'model_not_found');
      return;
    }
    const asks = JSON.parse(new TextDecoder().decode(request.body)) as RequestPlan;
    const run: Run = {
      ...{ request, asks, model, send },
      startedAtMs: this.#clock.nowMs(),
      firstContentMs: null,
      sent: 0,
      isEnding: false,
      cancelTotal: this.#clock.after(request.deadlines.totalMs, () => this.#fail(run, 'deadline_exceeded')),
      cancelWatch: this.#clock.after(request.deadlines.firstContentMs, () => this.#fail(run, 'first_token_timeout')),
      cancelNext: () => {},
    };
    model.inFlight += 1;
    this.#runs.set(attemptId, run);
    this.#history.tell({ kind: 'run.began', nodeId: this.#nodeId, attemptId, requestId: request.requestId });
    send({ type: 'attempt.accept', attemptId });
    this.#onChange();
    if (this.#isDown) this.#fail(run, 'engine_unreachable');
    else if (model.state === 'warm') this.#prefill(run);
    else this.load(model.plan.id, (code) => (code === null ? this.#prefill(run) : this.#fail(run, code)));
  }

  /** The engine lets go when it notices, which is seldom at once. */
  cancel(attemptId: string): void {
    const run = this.#runs.get(attemptId);
    if (run) this.#fail(run, 'canceled', this.#random.chance(0.05) ? 3_000 : this.#random.between(1, 400));
  }

  stopAll(code: ErrorCode): void {
    for (const run of [...this.#runs.values()]) this.#fail(run, code);
  }

  /** Nobody listens any more: nothing is said, but the slots come free only as the engine lets go. */
  abandonAll(): void {
    for (const run of [...this.#runs.values()]) this.#end(run, null, this.#random.between(1, 400));
  }

  #prefill(run: Run): void {
    if (run.isEnding || !this.#runs.has(run.request.attemptId)) return;
    const { asks, model } = run;
    run.model.lastUsedAtMs = this.#clock.nowMs();
    const random = this.#random.fork(run.request.attemptId);
    const prefillMs = model.plan.prefillMs * random.between(0.7, 1.5);
    if (asks.poison !== null) {
      const culprit = { text: asks.text, attemptId: run.request.attemptId };
      const kill = asks.poison === 'engine' ? () => this.crash(culprit) : () => this.#dieOf(culprit);
      run.cancelNext = this.#clock.after(prefillMs * random.between(0.1, 3), kill);
      if (random.chance(0.7)) return;
    }
    if (random.chance(asks.failChance)) {
      const code = random.pick(['engine_error', 'engine_overloaded', 'incomplete_answer', 'request_refused'] as const);
      run.cancelNext = this.#clock.after(prefillMs * random.between(0, 1), () => this.#fail(run, code));
      return;
    }
    this.#next(run, prefillMs, () => {
      this.#say(run, 'prelude');
      this.#token(run);
    });
  }

  #token(run: Run): void {
    this.#next(run, run.model.plan.tokenMs, () => {
      run.cancelWatch();
      run.firstContentMs ??= this.#clock.nowMs() - run.startedAtMs;
      run.cancelWatch = this.#clock.after(run.request.deadlines.stallMs, () => this.#fail(run, 'stall_timeout'));
      run.sent += 1;
      this.#say(run, 'content');
      if (run.sent < run.asks.tokens) this.#token(run);
      // What kills engines is never seen to succeed.
      else if (run.asks.poison === null) this.#complete(run);
    });
  }

  /** A stalled engine goes on when its stall is over. */
  #next(run: Run, ms: number, call: () => void): void {
    const cancelPoison = run.asks.poison === null ? () => {} : run.cancelNext;
    const wait = (waitMs: number) => {
      const cancel = this.#clock.after(waitMs, () => {
        const stallMs = this.#stalledUntilMs - this.#clock.nowMs();
        if (stallMs > 0) wait(stallMs);
        else if (!run.isEnding) call();
      });
      run.cancelNext = () => {
        cancel();
        cancelPoison();
      };
    };
    wait(ms);
  }

  #say(run: Run, chunk: ChunkKind): void {
    const { attemptId } = run.request;
    const bytes = new TextEncoder().encode(`${attemptId}:${run.sent};`);
    run.send({ type: 'attempt.chunk', attemptId, chunk, bytes });
  }

  #complete(run: Run): void {
    const totalMs = this.#clock.nowMs() - run.startedAtMs;
    this.#end(run, {
      type: 'attempt.end',
      attemptId: run.request.attemptId,
      usage: { promptTokens: 1, completionTokens: run.sent, cachedTokens: 0 },
      timings: { firstContentMs: run.firstContentMs, totalMs },
    });
  }

  #fail(run: Run, code: ErrorCode, afterMs = 0): void {
    this.#end(run, { type: 'attempt.fail', attemptId: run.request.attemptId, code }, afterMs);
  }

  #end(run: Run, last: ToReplica | null, afterMs = 0): void {
    if (run.isEnding && afterMs > 0) return;
    run.isEnding = true;
    run.cancelTotal();
    run.cancelWatch();
    run.cancelNext();
    const finish = () => {
      if (!this.#runs.delete(run.request.attemptId)) return;
      run.model.inFlight -= 1;
      this.#history.tell({ kind: 'run.ended', nodeId: this.#nodeId, attemptId: run.request.attemptId });
      if (last) run.send(last);
      this.#onChange();
    };
    if (afterMs === 0) finish();
    else this.#clock.after(afterMs, finish);
  }

  // Death

  /** The engine process dies with everything on it, and is started again. */
  crash(by: Culprit | null): void {
    if (this.#isDown) return;
    this.#life += 1;
    this.#isDown = true;
    this.#died(by, false);
    for (const model of this.#models.values()) {
      model.state = 'cold';
      for (const tell of model.waiting.splice(0)) tell('load_failed');
    }
    this.stopAll('engine_crashed');
    this.#noteUse();
    this.#onChange();
    this.#clock.after(RESTART_MS, () => {
      this.#isDown = false;
      for (const model of this.#models.values()) if (model.plan.isWarm) this.load(model.plan.id, () => {});
      this.#onChange();
    });
  }

  #died(by: Culprit | null, withMachine: boolean): void {
    this.#history.tell({ kind: 'engine.died', nodeId: this.#nodeId, by, withMachine, inFlight: this.#runs.size });
  }

  #dieOf(by: Culprit): void {
    this.#died(by, true);
    this.#onMachineDeath();
  }

  /** The machine is gone; nobody is told anything. */
  die(): void {
    this.#died(null, true);
    for (const attemptId of this.#runs.keys()) this.#history.tell({ kind: 'run.ended', nodeId: this.#nodeId, attemptId });
    this.#runs.clear();
  }

  stall(forMs: number): void {
    this.#stalledUntilMs = this.#clock.nowMs() + forMs;
  }

  failLoads(forMs: number): void {
    this.#badLoadsUntilMs = this.#clock.nowMs() + forMs;
  }

  takeMemory(share: number, forMs: number): void {
    const bytes = share * (this.#plan.vramBytes ?? 0);
    this.#foreignBytes += bytes;
    this.#noteUse();
    this.#onChange();
    this.#clock.after(forMs, () => {
      this.#foreignBytes -= bytes;
      this.#noteUse();
      this.#onChange();
    });
  }

  // Models

  unloadIdle(): void {
    for (const model of this.#models.values()) if (model.state === 'warm' && model.inFlight === 0) model.state = 'cold';
    this.#noteUse();
    this.#onChange();
  }

  load(id: string, tell: (code: ErrorCode | null) => void): void {
    const model = this.#models.get(id);
    if (!model || model.state === 'warm') {
      tell(model ? null : 'model_not_found');
      return;
    }
    model.waiting.push(tell);
    if (model.state === 'loading') return;
    const evictMs = this.#makeRoom(model);
    const life = this.#life;
    const isDoomed = this.#isDown || this.#badLoadsUntilMs > this.#clock.nowMs();
    const failure: ErrorCode | null = evictMs === null ? 'out_of_memory' : isDoomed ? 'load_failed' : null;
    model.state = 'loading';
    this.#noteUse();
    this.#onChange();
    const takesMs = (failure === null ? model.plan.loadMs : Math.min(800, model.plan.loadMs / 2)) + (evictMs ?? 0);
    this.#clock.after(takesMs, () => {
      if (life !== this.#life || model.state !== 'loading') return;
      model.state = failure === null ? 'warm' : 'cold';
      model.lastUsedAtMs = this.#clock.nowMs();
      this.#noteUse();
      this.#onChange();
      for (const each of model.waiting.splice(0)) each(failure);
    });
  }

  /** Milliseconds that sending idle models away takes, or null when even that is not enough. */
  #makeRoom(model: Model): number | null {
    if (this.#plan.vramBytes === null) return 0;
    const needBytes = needOf(model);
    const idle = [...this.#models.values()]
      .filter((other) => other.state === 'warm' && other.inFlight === 0)
      .sort((a, b) => a.lastUsedAtMs - b.lastUsedAtMs);
    const idleBytes = idle.reduce((sum, other) => sum + needOf(other), 0);
    if (needBytes > this.#freeBytes() + idleBytes) return null;
    let evictMs = 0;
    while (needBytes > this.#freeBytes()) {
      const oldest = idle.shift();
      if (!oldest) return null;
      oldest.state = 'cold';
      evictMs += 500;
    }
    return evictMs;
  }

  #freeBytes(): number {
    return (this.#plan.vramBytes ?? 0) - this.#foreignBytes - this.#heldBytes();
  }

  #heldBytes(): number {
    return [...this.#models.values()].reduce((sum, model) => sum + (model.state === 'cold' ? 0 : needOf(model)), 0);
  }

  #noteUse(): void {
    this.#used.push({ atMs: this.#clock.nowMs(), bytes: this.#foreignBytes + this.#heldBytes() });
    if (this.#used.length > 20) this.#used.shift();
  }

  report(): Pick<NodeSnapshot, 'gpus' | 'memory' | 'models'> {
    const { vramBytes, readingLagMs } = this.#plan;
    const readAtMs = this.#clock.nowMs() - readingLagMs;
    const usedBytes = (this.#used.findLast(({ atMs }) => atMs <= readAtMs) ?? this.#used[0])?.bytes ?? 0;
    return {
      gpus: [
        {
          ...{ id: 'gpu-0', name: 'simulated', vendor: 'simulated' as const, isUnifiedMemory: false },
          vramTotalBytes: vramBytes,
          vramUsedBytes: vramBytes === null ? null : usedBytes,
          vramFreeBytes: vramBytes === null ? null : Math.max(0, vramBytes - usedBytes),
          ...{ utilization: null, temperatureCelsius: null, powerWatts: null, driverVersion: null },
        },
      ],
      memory: { totalBytes: 32 * GIB, freeBytes: 16 * GIB },
      models: [...this.#models.values()].map(
        ({ plan, state, inFlight }): LoadedModel => ({
          id: plan.id,
          runtime: 'mock',
          state,
          capabilities: ['chat'],
          contextLength: 4_096,
          sizeBytes: plan.sizeBytes,
          vramBytes: state === 'cold' ? 0 : plan.sizeBytes * plan.needFactor,
          slots: plan.slots,
          inFlight,
          isPinned: false,
          expiresAtMs: null,
          failure: null,
        }),
      ),
    };
  }
}

const needOf = ({ plan }: Model): number => plan.sizeBytes * plan.needFactor;
