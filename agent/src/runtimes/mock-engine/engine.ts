import { Census } from './census.ts';
import { chooseVictim, countOthers, hasIdle } from './eviction.ts';
import { type Fault, Faults } from './faults.ts';
import type { Habits, ModelEvent } from './habits.ts';
import { type Death, type HostedModel, hostModel, neededBytes, type Refusal, Ticket } from './hosted-model.ts';
import { type Load, newLoad, pause } from './load.ts';
import type { ModelSpec, Tuning } from './options.ts';
import { TokenClock } from './token-clock.ts';
import type { VramLedger } from './vram-ledger.ts';

/**
 * The engine behind every dialect: who may have a slot, which model is in memory, what happens when something dies.
 * A request is admitted to a slot at once, waits for one, waits for its model, or is refused. See hosted-model.ts for the
 * states of a model. All of it is written here and in one thread; nothing else changes a model or a ticket's place.
 */
export class Engine {
  readonly name: string;
  readonly ledger: VramLedger;
  readonly clock: TokenClock;
  readonly census = new Census();
  readonly faults = new Faults();
  readonly habits: Habits;
  readonly models: HostedModel[];
  readonly watchers = new Set<(event: ModelEvent) => void>();
  /** Requests may carry faults of their own. */
  readonly allowsFaults: boolean;
  tuning: Tuning;
  /** The process is gone. */
  isDead = false;
  /** The process answers, but the engine core inside is gone (vLLM). */
  isCoreDead = false;
  onExit: (code: number) => void = () => {};
  /** For models that are not warm, oldest first. */
  #cold: Ticket[] = [];
  #loads = new Map<HostedModel, Load>();
  #coldWaiters = new Map<HostedModel, (() => void)[]>();
  #unwatch: () => void;

  constructor(engine: {
    name: string;
    ledger: VramLedger;
    habits: Habits;
    tuning: Tuning;
    specs: readonly ModelSpec[];
    allowsFaults: boolean;
  }) {
    this.name = engine.name;
    this.allowsFaults = engine.allowsFaults;
    this.ledger = engine.ledger;
    this.habits = engine.habits;
    this.tuning = engine.tuning;
    this.clock = new TokenClock(() => this.tuning.tickMs);
    this.models = engine.specs.map((spec) => hostModel({ spec, slots: engine.habits.slots, nowMs: Date.now() }));
    this.#unwatch = engine.ledger.watchActivity(() => this.#busyness());
    for (const model of this.models.filter((m) => m.spec.isWarm)) this.#warmUp(model);
  }

  get coldQueueLength(): number {
    return this.#cold.length;
  }

  /** GPU memory that a load of this model takes. */
  needs(model: HostedModel, contextLength: number): number {
    const share = this.habits.preallocatedShare;
    return share === null ? neededBytes(model, contextLength) : Math.round(this.ledger.totalBytes * share);
  }

  ticket(request: {
    model: HostedModel;
    route: string;
    faults?: readonly Fault[];
    wantsSlot?: boolean;
    contextLength?: number | null;
    keepAliveMs?: number | null | undefined;
  }): Ticket {
    const record = this.census.open(request.route, request.model.spec.name);
    record.faults = (request.faults ?? []).map((fault) => fault.kind);
    request.model.counts.requests += 1;
    return new Ticket({ ...request, record });
  }

  admit(ticket: Ticket): void {
    const { model } = ticket;
    if (this.isDead || this.isCoreDead) {
      this.#refuse(ticket, { kind: 'dead' });
      return;
    }
    if (model.phase === 'stale') this.#becomeCold(model);
    if (this.#canEnter(ticket)) {
      this.#enter(ticket);
      return;
    }
    if (this.#cold.length >= this.tuning.maxQueue) {
      this.#refuse(ticket, { kind: 'busy' });
      return;
    }
    this.#cold.push(ticket);
    this.#pump();
  }

  /** The request is over, however it went; its slot goes to the next. */
  release(ticket: Ticket): void {
    if (ticket.isOver) return;
    ticket.isOver = true;
    const { model } = ticket;
    if (!model.busy.delete(ticket)) return;
    model.lastUsedMs = Date.now();
    this.#fillSlots(model);
    this.#considerIdle(model);
  }

  /** The other side hung up. */
  abort(ticket: Ticket): void {
    if (ticket.isOver || ticket.isAborted) return;
    ticket.isAborted = true;
    if (ticket.onAbort) {
      ticket.onAbort();
      return;
    }
    remove(this.#cold, ticket);
    remove(ticket.model.waiting, ticket);
    this.census.close(ticket.record, 'aborted');
    ticket.settle({ kind: 'gone' });
    const load = this.#loads.get(ticket.model);
    if (load?.ticket === ticket && this.habits.abandonedLoad === 'abort') load.abandon();
    this.release(ticket);
  }

  /** When the last request is done (at once when there is none). Resolves when it is cold. */
  unloadWhenIdle(model: HostedModel): Promise<void> {
    const cold = this.#whenCold(model);
    if (model.phase !== 'cold') model.isLeaving = true;
    if (model.phase === 'sleeping') this.#retire(model);
    else if (model.phase === 'stale') this.#becomeCold(model);
    this.#considerIdle(model);
    return cold;
  }

  /** Now, with whatever it is doing; a load is stopped too. */
  unloadNow(model: HostedModel): void {
    this.#loads.get(model)?.abandon();
    if (model.phase !== 'warm' && model.phase !== 'sleeping') return;
    // No longer warm before the requests go, else their slots would be given on.
    model.phase = 'unloading';
    this.#killAll(model, 'unload');
    this.#retire(model);
  }

  /** The process that runs this model dies. */
  crashRunner(model: HostedModel): void {
    if (model.phase === 'loading') {
      this.#loads.get(model)?.abandon();
      return;
    }
    if (model.phase !== 'warm' && model.phase !== 'unloading') return;
    model.counts.crashes += 1;
    this.ledger.release(this.#owner(model), this.tuning.vramLagMs);
    model.phase = 'stale';
    model.exitCode = 1;
    if (this.habits.afterCrash === 'engine-dead') this.isCoreDead = true;
    this.#killAll(model, 'crash');
    if (this.habits.afterCrash === 'stale') return;
    this.#becomeCold(model);
    this.#pump();
  }

  /** The whole process dies. With `leavesOrphan` its children live on and keep the memory. */
  die(how: { exitCode: number; leavesOrphan?: boolean }): void {
    if (this.isDead) return;
    this.isDead = true;
    for (const model of this.models) {
      if (how.leavesOrphan === true) this.ledger.orphan(this.#owner(model));
      model.phase = 'cold';
      this.#killAll(model, 'exit');
    }
    this.stop();
    this.onExit(how.exitCode);
  }

  /** Ends everything quietly. */
  stop(): void {
    this.isDead = true;
    this.clock.close();
    this.#unwatch();
    for (const ticket of this.#cold.splice(0)) this.#refuse(ticket, { kind: 'dead' });
    for (const [model, load] of this.#loads) {
      load.abandon();
      this.#loads.delete(model);
    }
    for (const model of this.models) {
      this.#disarm(model);
      for (const ticket of model.waiting.splice(0)) this.#refuse(ticket, { kind: 'dead' });
      this.ledger.release(this.#owner(model), this.tuning.vramLagMs);
    }
  }

  /** Gives the weights' memory back but stays ready to continue. `keptBytes` stay taken. */
  sleep(model: HostedModel, keptBytes: number): void {
    if (model.phase !== 'warm') return;
    this.#disarm(model);
    model.phase = 'sleeping';
    this.#killAll(model, 'sleep');
    this.ledger.release(this.#owner(model), this.tuning.vramLagMs);
    if (keptBytes > 0) this.ledger.take(this.#owner(model), keptBytes);
    model.vramBytes = keptBytes;
    this.#tell({ kind: 'sleeping', model });
  }

  /** False when the memory has gone to somebody else meanwhile. */
  wake(model: HostedModel): boolean {
    if (model.phase !== 'sleeping') return true;
    const bytes = this.needs(model, model.contextLength);
    this.ledger.release(this.#owner(model), 0);
    if (!this.ledger.take(this.#owner(model), Math.min(bytes, this.ledger.totalBytes))) return false;
    model.vramBytes = model.sizeBytes = bytes;
    model.phase = 'warm';
    this.#pump();
    return true;
  }

  /** As many models as may be are there, and all of them are busy. */
  hasNoPlaceFor(model: HostedModel): boolean {
    const max = this.tuning.maxLoadedModels;
    if (max === 0 || countOthers(this.models, model) < max) return false;
    return !hasIdle(this.models, model);
  }

  #owner(model: HostedModel): string {
    return `${this.name}/${model.spec.name}`;
  }

  #tell(event: ModelEvent): void {
    for (const watch of this.watchers) watch(event);
  }

  #busyness(): number {
    const slots = this.models.reduce((sum, model) => sum + (model.phase === 'warm' ? model.slots : 0), 0);
    const busy = this.models.reduce((sum, model) => sum + model.busy.size, 0);
    if (busy > 0) return Math.min(0.99, 0.55 + (0.44 * busy) / Math.max(1, slots));
    return this.#loads.size > 0 ? 0.2 : 0;
  }

  #refuse(ticket: Ticket, refusal: Refusal): void {
    ticket.isOver = true;
    this.census.close(ticket.record, 'refused');
    ticket.settle({ kind: 'refused', refusal });
  }

  #canEnter(ticket: Ticket): boolean {
    const { model } = ticket;
    if (model.phase !== 'warm' || (model.isLeaving && !this.habits.leavingTakesRequests)) return false;
    return ticket.contextLength === null || ticket.contextLength === model.contextLength;
  }

  #enter(ticket: Ticket): void {
    const { model } = ticket;
    if (ticket.keepAliveMs !== undefined) model.keepAliveMs = ticket.keepAliveMs;
    model.lastUsedMs = Date.now();
    if (!ticket.wantsSlot) {
      ticket.isOver = true;
      this.census.close(ticket.record, 'done');
      ticket.settle({ kind: 'slot' });
      this.#considerIdle(model);
      return;
    }
    model.waiting.push(ticket);
    this.#fillSlots(model);
  }

  #fillSlots(model: HostedModel): void {
    while (model.phase === 'warm' && model.busy.size < model.slots) {
      const next = model.waiting.shift();
      if (!next) return;
      this.#disarm(model);
      model.busy.add(next);
      model.counts.maxBusy = Math.max(model.counts.maxBusy, model.busy.size);
      next.settle({ kind: 'slot' });
    }
  }

  #considerIdle(model: HostedModel): void {
    if (model.phase !== 'warm' || model.busy.size > 0 || model.waiting.length > 0) return;
    if (model.isLeaving || model.keepAliveMs === 0) {
      this.#retire(model);
      return;
    }
    this.#disarm(model);
    if (model.keepAliveMs === null) return;
    model.expiresAtMs = Date.now() + model.keepAliveMs;
    // Longer than a timer can be set for is as good as never.
    if (model.keepAliveMs > 2 ** 31 - 1) return;
    model.expiry = setTimeout(() => this.#expire(model), model.keepAliveMs);
    model.expiry.unref();
  }

  #expire(model: HostedModel): void {
    if (this.habits.whenExpired === 'sleep') this.sleep(model, 0);
    else this.#retire(model);
  }

  #disarm(model: HostedModel): void {
    if (model.expiry) clearTimeout(model.expiry);
    model.expiry = null;
    model.expiresAtMs = null;
  }

  #killAll(model: HostedModel, death: Death): void {
    for (const ticket of [...model.busy]) {
      if (ticket.onDeath) ticket.onDeath(death);
      this.release(ticket);
    }
    for (const ticket of model.waiting.splice(0)) this.#refuse(ticket, { kind: 'crashed' });
  }

  #retire(model: HostedModel): void {
    this.#disarm(model);
    model.phase = 'unloading';
    if (this.faults.claim('stuck-unload', model.spec.name)) return;
    setTimeout(() => {
      if (model.phase !== 'unloading') return;
      model.counts.unloads += 1;
      model.exitCode = 0;
      this.ledger.release(this.#owner(model), this.tuning.vramLagMs);
      this.#becomeCold(model);
      this.#pump();
    }, this.tuning.unloadMs);
  }

  #becomeCold(model: HostedModel): void {
    this.#disarm(model);
    model.phase = 'cold';
    model.isLeaving = false;
    model.vramBytes = model.sizeBytes = 0;
    this.#tell({ kind: 'unloaded', model, exitCode: model.exitCode });
    for (const wake of this.#coldWaiters.get(model)?.splice(0) ?? []) wake();
  }

  #whenCold(model: HostedModel): Promise<void> {
    if (model.phase === 'cold' || model.phase === 'stale') return Promise.resolve();
    return new Promise((resolve) => {
      this.#coldWaiters.set(model, [...(this.#coldWaiters.get(model) ?? []), resolve]);
    });
  }

  /** Starts what may be started; called whenever the reason to wait may have gone. */
  #pump(): void {
    if (this.isDead || this.isCoreDead) return;
    for (const ticket of [...this.#cold]) {
      if (this.#loads.has(ticket.model)) continue;
      if (this.#canEnter(ticket)) {
        remove(this.#cold, ticket);
        this.#enter(ticket);
        continue;
      }
      if (this.#loads.size >= this.habits.loadsAtOnce) return;
      if (ticket.model.phase === 'sleeping' && !this.habits.wakesOnRequest) continue;
      remove(this.#cold, ticket);
      void this.#load(ticket);
    }
  }

  async #load(ticket: Ticket): Promise<void> {
    const { model } = ticket;
    const load = newLoad(ticket);
    this.#loads.set(model, load);
    const contextLength = ticket.contextLength ?? model.spec.contextLength;
    const refusal = await this.#bring(model, load, contextLength);
    this.#loads.delete(model);
    if (this.isDead) return;
    if (load.isAbandoned || refusal) this.#undoLoad(model, load, refusal);
    else this.#finishLoad(model, load, contextLength);
    this.#pump();
  }

  #undoLoad(model: HostedModel, load: Load, refusal: Refusal | null): void {
    // Given up while it still waited for room: the model is as it was, perhaps warm and busy with another context.
    if (load.hasStarted) {
      this.ledger.release(this.#owner(model), this.tuning.vramLagMs);
      model.counts[load.isAbandoned ? 'loadsAborted' : 'loadsFailed'] += 1;
      model.exitCode = load.isAbandoned ? 0 : 1;
      this.#becomeCold(model);
    }
    const why = refusal ?? { kind: 'load-failed' };
    if (!load.ticket.isAborted) this.#refuse(load.ticket, why);
    if (!this.habits.sharesLoadFailure) return;
    for (const ticket of this.#cold.filter((waiting) => waiting.model === model)) {
      remove(this.#cold, ticket);
      this.#refuse(ticket, why);
    }
  }

  #finishLoad(model: HostedModel, load: Load, contextLength: number): void {
    const { isWakeUp } = load;
    model.phase = 'warm';
    model.isLeaving = false;
    model.exitCode = 0;
    model.contextLength = contextLength;
    model.keepAliveMs = this.tuning.keepAliveMs;
    model.counts.loadsFinished += 1;
    this.#tell({ kind: 'progress', model, value: 1 });
    this.#tell({ kind: 'loaded', model, isWakeUp });
    const ready = [load.ticket, ...this.#cold.filter((ticket) => ticket.model === model && this.#canEnter(ticket))];
    for (const ticket of ready) {
      remove(this.#cold, ticket);
      ticket.loadMs = performance.now() - Math.max(load.startedAtMs, ticket.openedAtMs);
      if (!ticket.isAborted) this.#enter(ticket);
    }
    this.#considerIdle(model);
  }

  /** Everything between the wish and a model in memory. Returns why it failed; the caller looks whether it was abandoned. */
  async #bring(model: HostedModel, load: Load, contextLength: number): Promise<Refusal | null> {
    await this.#makeRoom(model, load, contextLength);
    if (load.isAbandoned) return null;
    load.hasStarted = true;
    load.isWakeUp = model.phase === 'sleeping';
    model.phase = 'loading';
    model.counts.loadsStarted += 1;
    this.#tell({ kind: 'loading', model, isWakeUp: load.isWakeUp });
    this.#tell({ kind: 'progress', model, value: 0 });
    const bytes = this.needs(model, contextLength);
    const doesFit = this.#takeMemory(model, bytes);
    const loadMs = (this.tuning.coldLoadMsPerGb * model.spec.sizeBytes) / 1e9;
    await Promise.race([pause(loadMs), load.abandoned]);
    if (load.isAbandoned) return null;
    const isStruck = load.ticket.fault('oom') !== undefined || this.faults.claim('oom', model.spec.name) !== null;
    return doesFit && !isStruck ? null : { kind: 'oom', neededBytes: bytes };
  }

  async #makeRoom(model: HostedModel, load: Load, contextLength: number): Promise<void> {
    const vacate = (leaving: HostedModel): Promise<unknown> => Promise.race([this.unloadWhenIdle(leaving), load.abandoned]);
    if (model.phase === 'warm' || model.phase === 'unloading') await vacate(model);
    const max = this.tuning.maxLoadedModels;
    while (max > 0 && !load.isAbandoned && countOthers(this.models, model) >= max) {
      const victim = chooseVictim(this.models, model, this.habits.eviction);
      if (!victim) break;
      await vacate(victim);
    }
    if (this.tuning.isCpuOnly) return;
    const bytes = this.needs(model, contextLength);
    while (!load.isAbandoned && bytes > this.ledger.freeBytes) {
      const victim = this.habits.evictsForMemory ? chooseVictim(this.models, model, this.habits.eviction) : undefined;
      if (victim) await vacate(victim);
      else if (this.ledger.isSettling) await Promise.race([this.ledger.whenChanged(VRAM_RECOVERY_MS), load.abandoned]);
      else return;
    }
  }

  #takeMemory(model: HostedModel, bytes: number): boolean {
    const owner = this.#owner(model);
    model.sizeBytes = bytes;
    model.vramBytes = this.tuning.isCpuOnly ? 0 : Math.min(bytes, this.ledger.freeBytes);
    if (model.vramBytes < bytes && !this.tuning.isCpuOnly && this.tuning.whenTooBig === 'fail') return false;
    this.ledger.take(owner, model.vramBytes);
    return true;
  }

  #warmUp(model: HostedModel): void {
    const bytes = this.needs(model, model.contextLength);
    this.#takeMemory(model, bytes);
    model.phase = 'warm';
    model.keepAliveMs = this.tuning.keepAliveMs;
    this.#considerIdle(model);
  }
}

/** How long Ollama waits for the driver to give memory back before it looks again. */
const VRAM_RECOVERY_MS = 5000;

const remove = <T>(list: T[], item: T): void => {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
};
