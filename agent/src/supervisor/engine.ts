import type { RuntimeReport } from '@lai/shared/node';
import type { Logger } from 'pino';
import type { EngineHandle, Runtime, RuntimeModel } from '../runtimes/runtime.ts';
import type { EngineLog } from './engine-log.ts';
import { askForOneToken } from './engine-probe.ts';
import { type EngineCommand, type EngineExit, EngineProcess } from './engine-process.ts';
import { LastLines } from './last-lines.ts';
import {
  initialLifecycle,
  LIFECYCLE_LIMITS,
  type Lifecycle,
  type LifecycleEvent,
  type LifecycleLimits,
  nextLifecycle,
  type Phase,
} from './lifecycle.ts';
import type { PidFiles } from './orphans.ts';
import { type EngineHealth, type WatchdogCause, watchdogVerdict } from './watchdog.ts';

/** What the supervisor needs to know to keep an engine. */
export interface EngineSpec {
  /** Unique on this machine; names its files. */
  readonly name: string;
  readonly runtime: Runtime;
  /** Said to the user once. */
  readonly sentence: string;
  /** How to start it: then it is ours. Absent: it is somebody else's and is only watched. */
  readonly command?: () => EngineCommand;
  /** Adopted: what version runs there now, null when nobody answers. Asked now and then, because programs are replaced under us. */
  readonly identify?: (signal: AbortSignal) => Promise<string | null>;
  /** Only there so that the machine does something at all; leaves when a real engine comes. */
  readonly isStandIn?: boolean;
  /** Where a mock engine tells about its pretended GPU. */
  readonly mockUrl?: string;
}

export interface EngineEvents {
  models(runtime: Runtime, models: readonly RuntimeModel[]): void;
  lost(runtime: Runtime): void;
  changed(): void;
  /** What runs on it, asked before anything rash. */
  load(runtime: Runtime): { readonly inFlight: number; readonly isLoading: boolean; readonly warmChatModel: string | null };
}

const CALL_LIMIT_MS = 5_000;
/** A call that fails so much later than its limit tells of us: the machine slept, we were stopped, and the answer may lie here unread. */
const AWAY_MS = 1_000;
const PROBE_LIMIT_MS = 20_000;
/** A process that does not even open its port in this time hangs. Weights load after that, not before, except in vLLM. */
const START_LIMIT_MS = 10 * 60_000;
const IDENTIFY_EVERY_MS = 30_000;
/** How often we look, by what may happen: a start is awaited, work changes things, an idle engine only expires models. */
const LOOK_MS: Readonly<Record<Phase, number>> = {
  starting: 150,
  ready: 5_000,
  silent: 2_000,
  absent: 5_000,
  away: 2_000,
  stopping: 1_000,
  stopped: 60_000,
  backoff: 60_000,
  quarantined: 60_000,
};
const LOOK_BUSY_MS = 2_000;
const QUICK_START_MS = 10_000;
const BUSY_FOR_MS = 30_000;

/** One engine and everything we do to it. Single writer of its lifecycle, its process and its pid file; see lifecycle.ts. */
export class Engine implements EngineHandle {
  readonly spec: EngineSpec;
  readonly #events: EngineEvents;
  readonly #log: Logger;
  readonly #output: EngineLog;
  readonly #lastLines = new LastLines();
  readonly #pids: PidFiles;
  readonly #limits: LifecycleLimits;
  #life: Lifecycle;
  #process: EngineProcess | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  #dueTimer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #isClosed = false;
  #identifiedAtMs = performance.now();
  #lastTokenAtMs: number | null = null;
  #lastBusyAtMs = 0;
  #silentSinceMs: number | null = null;
  #stalls = 0;
  #probe: EngineHealth['probe'] = 'none';
  readonly #restartedAtMs: Partial<Record<WatchdogCause, number>> = {};
  readonly #waiting = new Set<() => void>();

  constructor(options: {
    spec: EngineSpec;
    events: EngineEvents;
    log: Logger;
    output: EngineLog;
    pids: PidFiles;
    limits?: LifecycleLimits;
  }) {
    this.spec = options.spec;
    this.#events = options.events;
    this.#log = options.log.child({ engine: options.spec.name });
    this.#output = options.output;
    this.#pids = options.pids;
    this.#limits = options.limits ?? LIFECYCLE_LIMITS;
    this.#life = initialLifecycle(this.isOwned ? 'owned' : 'adopted', performance.now());
  }

  get isOwned(): boolean {
    return this.spec.command !== undefined;
  }

  get life(): Lifecycle {
    return this.#life;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Is there something behind it, as far as we can see? */
  isAlive(): boolean {
    return this.isOwned ? this.#process !== undefined : this.#life.phase === 'ready';
  }

  start(): void {
    if (this.#isClosed) return;
    if (this.isOwned) this.#move({ kind: 'start' });
    else this.look();
  }

  listen(): () => readonly string[] {
    return this.#lastLines.listen();
  }

  /** Resolves when the process and its children are gone. Nothing happens to an adopted engine: it is not ours to stop. */
  async stop(reason = 'it was told to'): Promise<void> {
    if (!this.isOwned) return;
    this.#move({ kind: 'stop', reason });
    await this.#until(() => this.#process === undefined);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#lookTimer);
    await this.stop('the agent is stopping');
    clearTimeout(this.#dueTimer);
    clearTimeout(this.#lookTimer);
    await this.spec.runtime.close();
    this.#output.close();
  }

  report(): RuntimeReport {
    const said = this.spec.runtime.report();
    return {
      ...said,
      version: this.#life.version ?? said.version,
      mode: this.isOwned ? 'owned' : said.mode,
      spillsToMemory: this.spec.runtime.abilities.spillsToMemory,
      state: this.spec.runtime.isDormant ? 'ready' : REPORTED[this.#life.phase],
      detail: this.spec.runtime.isDormant
        ? said.detail
        : (this.#life.reason ?? (this.#life.phase === 'ready' ? said.detail : null)),
    };
  }

  /** Bytes of an answer came out of it. Called for each chunk, so it is cheap. */
  sawTokens(): void {
    this.#lastTokenAtMs = performance.now();
    this.#stalls = 0;
    this.#probe = 'none';
  }

  sawStall(): void {
    this.#stalls += 1;
    if (this.#probe !== 'running') this.#probe = 'none';
    this.look();
  }

  /** Looks now instead of when it is due. */
  look(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#lookTimer);
    void this.#look();
  }

  /** Resolves after the next answer or refusal to answer. */
  async looked(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.add(resolve);
      this.look();
    });
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const startedAtMs = performance.now();
    let wasAway = false;
    try {
      if (this.isOwned && this.#process === undefined) return;
      const signal = AbortSignal.timeout(CALL_LIMIT_MS);
      const models = await this.spec.runtime.listModels(signal);
      if (this.#isClosed || (this.isOwned && this.#life.phase === 'stopping')) return;
      this.#silentSinceMs = null;
      this.#move({ kind: 'answered', version: await this.#version(signal) });
      this.#events.models(this.spec.runtime, models);
    } catch (error) {
      if (this.#isClosed) return;
      wasAway = performance.now() - startedAtMs > CALL_LIMIT_MS + AWAY_MS;
      if (wasAway) return;
      this.#log.trace({ err: error }, 'engine does not answer');
      this.#silentSinceMs ??= performance.now();
      this.#move({ kind: 'silent', reason: this.isOwned ? 'it does not answer' : 'it went away' });
      this.#events.lost(this.spec.runtime);
    } finally {
      this.#isLooking = false;
      if (wasAway) this.look();
      else this.#looked();
    }
  }

  #looked(): void {
    this.#guard();
    this.#settle();
    if (this.#isClosed) return;
    clearTimeout(this.#lookTimer);
    this.#lookTimer = setTimeout(() => void this.#look(), this.#lookEveryMs());
  }

  async #version(signal: AbortSignal): Promise<string | null> {
    const { identify, runtime } = this.spec;
    if (!identify || performance.now() - this.#identifiedAtMs < IDENTIFY_EVERY_MS) return runtime.report().version;
    this.#identifiedAtMs = performance.now();
    return identify(signal).catch(() => null);
  }

  #lookEveryMs(): number {
    const everyMs = LOOK_MS[this.#life.phase];
    if (this.#life.phase === 'starting') return performance.now() - this.#life.sinceMs < QUICK_START_MS ? everyMs : LOOK_BUSY_MS;
    if (this.#life.phase !== 'ready') return everyMs;
    const { inFlight, isLoading } = this.#events.load(this.spec.runtime);
    if (inFlight > 0 || isLoading) this.#lastBusyAtMs = performance.now();
    return performance.now() - this.#lastBusyAtMs < BUSY_FOR_MS ? LOOK_BUSY_MS : everyMs;
  }

  #guard(): void {
    if (!this.isOwned || this.#isClosed) return;
    const isStartOverdue = this.#life.phase === 'starting' && performance.now() - this.#life.sinceMs > START_LIMIT_MS;
    const verdict = watchdogVerdict({
      nowMs: performance.now(),
      lastTokenAtMs: this.#lastTokenAtMs,
      ...this.#events.load(this.spec.runtime),
      silentSinceMs: this.#life.phase === 'starting' && !isStartOverdue ? null : this.#silentSinceMs,
      stalls: this.#stalls,
      probe: this.#probe,
      restartedAtMs: this.#restartedAtMs,
    });
    if (verdict.kind === 'probe') void this.#ask(verdict.model);
    if (verdict.kind === 'restart') {
      this.#restartedAtMs[verdict.cause] = performance.now();
      this.#move({ kind: 'hung', reason: verdict.reason });
    }
  }

  async #ask(model: string): Promise<void> {
    this.#probe = 'running';
    const isAnswered = await askForOneToken(this.spec.runtime, model, AbortSignal.timeout(PROBE_LIMIT_MS));
    if (this.#probe !== 'running') return;
    this.#log.info({ model, isAnswered }, 'asked a suspicious engine for one token');
    this.#probe = isAnswered ? 'answered' : 'failed';
    if (isAnswered) this.#stalls = 0;
    else this.look();
  }

  #move(event: LifecycleEvent): void {
    const before = this.#life;
    this.#life = nextLifecycle(before, event, { nowMs: performance.now(), random: Math.random(), limits: this.#limits });
    const { phase, reason, version } = this.#life;
    if (phase !== before.phase) {
      this.#tell(before, event);
      this.#enter(phase);
    } else if (phase === 'ready' && version !== before.version && before.version !== null) {
      this.#log.warn({ version, before: before.version }, 'another version of the engine answers now');
    } else if (reason === before.reason && version === before.version) {
      return;
    }
    this.#events.changed();
    this.#settle();
  }

  #enter(phase: Phase): void {
    clearTimeout(this.#dueTimer);
    switch (phase) {
      case 'starting':
        this.#launch();
        return;
      case 'stopping':
        this.#events.lost(this.spec.runtime);
        if (this.#process) void this.#process.stop();
        else this.#move({ kind: 'exited', how: 'there was no process' });
        return;
      case 'backoff':
      case 'quarantined':
        if (!this.#isClosed && this.#life.dueAtMs !== null) {
          this.#dueTimer = setTimeout(() => this.#move({ kind: 'due' }), Math.max(0, this.#life.dueAtMs - performance.now()));
        }
        return;
      default:
        return;
    }
  }

  #launch(): void {
    const command = this.spec.command?.();
    if (!command) return;
    this.#silentSinceMs = null;
    this.#stalls = 0;
    this.#probe = 'none';
    this.#lastTokenAtMs = null;
    this.#output.write(`--- ${new Date().toISOString()} starting ${command.file} ${command.args.join(' ')}`);
    const engine = new EngineProcess(command, (line) => {
      this.#output.write(line);
      this.#lastLines.add(line);
    });
    this.#process = engine;
    if (engine.pid !== undefined) void this.#pids.write(this.spec.name, engine.pid).catch(() => {});
    void engine.exited.then((exit) => this.#died(engine, exit));
    // The first sign of life is looked for soon: the runtime's own state says when.
    this.look();
  }

  #died(engine: EngineProcess, { how }: EngineExit): void {
    if (this.#process !== engine) return;
    this.#process = undefined;
    this.#pids.remove(this.spec.name);
    this.#output.write(`--- ${new Date().toISOString()} ${how}`);
    // How it ended when we end it says nothing about the engine.
    if (this.#life.phase !== 'stopping') this.#lastLines.add(how);
    this.#events.lost(this.spec.runtime);
    this.#move({ kind: 'exited', how });
    this.#settle();
  }

  #tell(before: Lifecycle, event: LifecycleEvent): void {
    const { phase, reason, dueAtMs, version } = this.#life;
    const facts = { phase, before: before.phase, event: event.kind, version, pid: this.pid };
    switch (phase) {
      case 'backoff':
      case 'quarantined':
        this.#log.warn({ ...facts, waitMs: dueAtMs === null ? null : dueAtMs - performance.now() }, `engine stopped: ${reason}`);
        return;
      case 'away':
      case 'silent':
        this.#log.warn(facts, `engine is ${phase}: ${reason}`);
        return;
      case 'ready':
        this.#log.info(facts, before.phase === 'away' ? 'engine came back' : 'engine is ready');
        return;
      default:
        this.#log.info(facts, `engine is ${phase}${reason === null ? '' : `: ${reason}`}`);
    }
  }

  #until(isSo: () => boolean): Promise<void> {
    if (isSo()) return Promise.resolve();
    return new Promise((resolve) => {
      const look = () => {
        if (isSo()) resolve();
        else this.#waiting.add(look);
      };
      this.#waiting.add(look);
    });
  }

  #settle(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const look of waiting) look();
  }
}

const REPORTED: Readonly<Record<Phase, RuntimeReport['state']>> = {
  stopped: 'stopped',
  starting: 'starting',
  ready: 'ready',
  silent: 'failed',
  stopping: 'stopped',
  backoff: 'failed',
  quarantined: 'failed',
  absent: 'starting',
  away: 'failed',
};
