import { setTimeout as pause } from 'node:timers/promises';
import type { GamingReport, GamingWish, Preemption } from '@lai/shared/node';
import type { Logger } from 'pino';
import type { GameSign } from './availability/game-detection.ts';
import { GamingMode } from './availability/gaming-mode.ts';
import type { Holds } from './availability/holds.ts';
import { type MemoryBefore, memoryVerdict, totalUsedBytes } from './availability/memory-freed.ts';
import type { PolicyFile } from './availability/policy.ts';
import type { PreemptionAction, PreemptionFacts, PreemptionPolicy } from './availability/preemption.ts';
import { Preemptor } from './availability/preemptor.ts';
import type { Gpus } from './gpus.ts';
import type { Models } from './models/models.ts';
import type { Supervisor } from './supervisor/supervisor.ts';

/** An attempt as far as giving way is concerned. */
export interface Interruptible {
  readonly isForced: boolean;
  readonly modelId: string;
  stop(code: 'preempted', reason: string): void;
}

const MEMORY_LOOK_MS = 250;
const FRESH_LIMIT_MS = 400;
const PROCESSES_LIMIT_MS = 300;
const POLICY_LOOK_MS = 5_000;

/**
 * The loop that gets out of the owner's way: gaming mode and "stop everything" become holds, holds become preemption, preemption ends
 * attempts, unloads models, reads the GPU and, where that does not help, stops the engine; when the last reason is gone everything comes
 * back. Writer of the holds `gaming` and `stop_all`.
 */
export class Yielding {
  readonly gaming: GamingMode;
  readonly #preemptor: Preemptor;
  readonly #holds: Holds;
  readonly #policy: PolicyFile;
  readonly #models: Models;
  readonly #supervisor: Supervisor;
  readonly #gpus: Gpus;
  readonly #attempts: () => Iterable<Interruptible>;
  readonly #onChange: () => void;
  readonly #log: Logger;
  #isUsedAgain = false;
  #before: MemoryBefore | null = null;
  #memory: PreemptionFacts['memory'] = 'unknown';
  #memoryTimer: NodeJS.Timeout | undefined;
  #policyTimer: NodeJS.Timeout | undefined;
  #isWatching = false;

  constructor(options: {
    dataDir: string;
    holds: Holds;
    policy: PolicyFile;
    models: Models;
    supervisor: Supervisor;
    gpus: Gpus;
    attempts: () => Iterable<Interruptible>;
    /** News for the snapshot; to be told at once, because whoever plays wants no more work now. */
    onChange: () => void;
    log: Logger;
  }) {
    this.#holds = options.holds;
    this.#policy = options.policy;
    this.#models = options.models;
    this.#supervisor = options.supervisor;
    this.#gpus = options.gpus;
    this.#attempts = options.attempts;
    this.#onChange = options.onChange;
    this.#log = options.log;
    this.gaming = new GamingMode({
      dataDir: options.dataDir,
      policy: () => options.policy.policy.gaming,
      onChange: (report) => this.#gamingChanged(report),
      log: options.log,
    });
    this.#preemptor = new Preemptor(
      {
        facts: () => this.#facts(),
        policy: () => this.#preemptionPolicy(),
        act: (action) => this.#act(action),
        watchMemory: (isWatching) => this.#watchMemory(isWatching),
        changed: () => this.#stepTaken(),
      },
      options.log,
    );
  }

  start(): void {
    this.gaming.start();
    this.#policyTimer = setInterval(() => {
      if (this.#policy.refresh()) this.gaming.review();
    }, POLICY_LOOK_MS);
  }

  close(): void {
    clearInterval(this.#policyTimer);
    this.#preemptor.close();
    this.gaming.close();
  }

  preemption(): Preemption | null {
    return this.#preemptor.report();
  }

  ownerWishes(wish: GamingWish): void {
    this.#policy.refresh();
    this.gaming.ownerWishes(wish);
  }

  operatorWishes(wish: GamingWish | undefined): void {
    this.gaming.operatorWishes(wish);
  }

  sees(signs: readonly GameSign[]): void {
    void this.#supervisor.ownPids().then((pids) => this.gaming.sees(signs, pids));
  }

  /** Ends what runs and unloads everything, once; the machine takes new work as soon as that is done. */
  stopAll(): void {
    this.#holds.set({ kind: 'stop_all', cause: 'owner', sinceMs: Date.now(), untilMs: null });
    this.#preemptor.poke();
  }

  /** Whether a request that asks for it may run in spite of gaming mode. */
  get allowsForced(): boolean {
    return this.#policy.policy.gaming.forcedRequests === 'allow';
  }

  /** An attempt began or ended, a model changed its state, an engine stopped. */
  poke(): void {
    if (this.#isHeld || this.#preemptor.step !== 'idle') this.#preemptor.poke();
  }

  forcedBegan(): void {
    if (this.#isHeld) this.#isUsedAgain = true;
  }

  get #isHeld(): boolean {
    return this.#holds.list().some(({ kind }) => kind === 'gaming' || kind === 'stop_all');
  }

  #gamingChanged({ isActive, cause, untilMs }: GamingReport): void {
    const held = this.#holds.list().find((hold) => hold.kind === 'gaming');
    if (isActive) this.#holds.set({ kind: 'gaming', cause: cause ?? 'owner', sinceMs: held?.sinceMs ?? Date.now(), untilMs });
    else this.#holds.clear('gaming');
    this.#onChange();
    this.poke();
  }

  #preemptionPolicy(): PreemptionPolicy {
    const { whileBusy, graceMs, stopEngineAfterMs } = this.#policy.policy.gaming;
    const isStopAll = this.#holds.list().some(({ kind }) => kind === 'stop_all');
    return { whileBusy: isStopAll ? 'cancel' : whileBusy, graceMs, stopEngineAfterMs };
  }

  #facts(): PreemptionFacts {
    const attempts = [...this.#attempts()];
    const forced = attempts.filter((attempt) => attempt.isForced);
    return {
      isHeld: this.#isHeld,
      inFlight: attempts.length - forced.length,
      forcedInFlight: forced.length,
      isUsedAgain: this.#isUsedAgain,
      loadedModels: this.#loaded().length,
      // What a forced request needs is not given back until it is done.
      memory: forced.length > 0 ? 'free' : this.#memory,
      canStopEngines: this.#supervisor.canPark,
      areEnginesStopped: this.#supervisor.isParked,
    };
  }

  /** Models to be unloaded: all in memory or on their way, but for those that a forced request is using. */
  #loaded() {
    const needed = new Set([...this.#attempts()].filter((attempt) => attempt.isForced).map((attempt) => attempt.modelId));
    return this.#models.report().filter(({ id, state }) => state !== 'cold' && state !== 'failed' && !needed.has(id));
  }

  #act(action: PreemptionAction): void {
    switch (action) {
      case 'cancel-attempts': {
        const cause = this.#holds.list().map(({ cause }) => cause)[0] ?? 'owner';
        for (const attempt of this.#attempts()) if (!attempt.isForced) attempt.stop('preempted', cause);
        return;
      }
      case 'unload-models':
        void this.#unload();
        return;
      case 'stop-engines':
        void this.#supervisor.park('the owner needs the GPU').then(() => this.#preemptor.poke());
        return;
      case 'return':
        this.#supervisor.unpark();
        return;
    }
  }

  /** Looks first: what was loaded a moment ago is in no list and in no reading yet, and would seem to be given back already. */
  async #unload(): Promise<void> {
    this.#isUsedAgain = [...this.#attempts()].some((attempt) => attempt.isForced);
    this.#memory = 'unknown';
    this.#before = null;
    const looked = Promise.all(this.#supervisor.engines.filter((engine) => engine.isAlive()).map((engine) => engine.looked()));
    const [gpus] = await Promise.all([this.#gpus.fresh(FRESH_LIMIT_MS), Promise.race([looked, pause(FRESH_LIMIT_MS)])]);
    const loaded = this.#loaded();
    this.#before = {
      usedBytes: totalUsedBytes(gpus),
      // Several names of one copy in memory count once.
      oursBytes: loaded
        .filter(({ id, sharedAs }) => sharedAs === undefined || sharedAs === id)
        .reduce((sum, model) => sum + (model.vramBytes ?? model.sizeBytes ?? 0), 0),
    };
    for (const { id } of loaded) {
      this.#models.unload(id).then(
        () => this.poke(),
        (error: unknown) => this.#log.warn({ err: error, model: id }, 'unload for the owner failed'),
      );
    }
    this.poke();
  }

  #stepTaken(): void {
    const { step } = this.#preemptor;
    if ((step === 'freed' || step === 'stuck') && this.#holds.list().some(({ kind }) => kind === 'stop_all')) {
      this.#holds.clear('stop_all');
      setImmediate(() => this.poke());
    }
    this.#onChange();
  }

  #watchMemory(isWatching: boolean): void {
    this.#gpus.watchClosely(isWatching);
    if (isWatching === this.#isWatching) return;
    this.#isWatching = isWatching;
    clearTimeout(this.#memoryTimer);
    if (isWatching) void this.#lookAtMemory();
  }

  async #lookAtMemory(): Promise<void> {
    const { probe } = this.#gpus;
    const [pids, processes] = await Promise.all([
      this.#supervisor.ownPids(),
      // A slow answer must not hold up the totals, which are read all the time.
      probe.vendor === 'nvidia' ? Promise.race([probe.processes(MEMORY_LOOK_MS), pause(PROCESSES_LIMIT_MS, null)]) : null,
    ]);
    if (!this.#isWatching) return;
    if (this.#before !== null) this.#memory = memoryVerdict(this.#before, this.#gpus.read(), { pids, processes });
    this.#preemptor.poke();
    clearTimeout(this.#memoryTimer);
    if (this.#isWatching) this.#memoryTimer = setTimeout(() => void this.#lookAtMemory(), MEMORY_LOOK_MS);
  }
}
