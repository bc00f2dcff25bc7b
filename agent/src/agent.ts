import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import os from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { NodeDesired, NodeSnapshot } from '@lai/shared/node';
import type { AgentMessage, AttemptEnd } from '@lai/shared/protocol/agent-message';
import type { DataFrame } from '@lai/shared/protocol/codec';
import type { AttemptStart, CoordinatorMessage } from '@lai/shared/protocol/coordinator-message';
import { machineRoom } from '@lai/shared/room';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { AttemptRunner } from './attempts/attempt-runner.ts';
import { Holds } from './availability/holds.ts';
import { KeepAwake } from './availability/keep-awake.ts';
import { PolicyFile } from './availability/policy.ts';
import type { AgentConfig } from './config.ts';
import { Connection } from './connection/connection.ts';
import { GpuGuard } from './gpu-guard.ts';
import { Gpus } from './gpus.ts';
import type { NodeCredential, NodeIdentity } from './identity.ts';
import { type LocalDoor, openLocalDoor } from './local/local-http.ts';
import { LOCAL_VERSION, type LocalStatus } from './local/local-status.ts';
import { ModelCommands } from './models/model-commands.ts';
import { Models } from './models/models.ts';
import { withOwnersWord } from './models/owner-capabilities.ts';
import { Pulls } from './models/pulls.ts';
import { DesktopReports } from './sensors/desktop-reports.ts';
import { type ForegroundWatch, LOOK_EVERY_MS, startForegroundWatch } from './sensors/foreground.ts';
import { watchSleep } from './sensors/power.ts';
import { BUILT_IN_RELEASE_KEY } from './service/release.ts';
import { Updates } from './service/update.ts';
import { programAt } from './service/versions.ts';
import { takeSnapshot } from './snapshot.ts';
import { engineSources } from './supervisor/engine-sources.ts';
import { Supervisor } from './supervisor/supervisor.ts';
import { type Interruptible, Yielding } from './yielding.ts';

const STATUS_DEBOUNCE_MS = 100;
/** Attempts come and go by the dozen, and whoever sent them counts them anyway. */
const WORK_REPORT_MS = 1_000;
const DISK_POLL_MS = 30_000;
const UPKEEP_MS = 5_000;
const SLEEP_LOOK_MS = 2_000;
/** The histogram counts from one look to the next, so an undisturbed loop shows this much. */
const MEASURE_MS = 10;

interface Running extends Interruptible {
  readonly runner: AttemptRunner;
}

/**
 * The daemon: four loops around one socket. **Connect** keeps the socket up (connection/). **Report** watches engines and sensors and
 * sends whole snapshots, on change (debounced) and on the interval that the coordinator asks for. **Obey** runs attempts, loads models
 * and takes the operator's wishes. **Yield** gets out of the way of the machine's owner (yielding.ts).
 */
export class Agent {
  readonly #config: AgentConfig;
  readonly #credential: NodeCredential;
  readonly #version: string;
  readonly #log: Logger;
  readonly #policy: PolicyFile;
  readonly #models: Models;
  readonly #pulls: Pulls;
  readonly #commands: ModelCommands;
  readonly #holds: Holds;
  readonly #gpus: Gpus;
  readonly #guard: GpuGuard;
  readonly #supervisor: Supervisor;
  readonly #yielding: Yielding;
  readonly #connection: Connection;
  readonly #keepAwake: KeepAwake;
  /** Null when this agent is no installation that could be updated. */
  readonly #updates: Updates | null;
  readonly #environment: Readonly<Record<string, string | undefined>>;
  /** By stream number; single writer. */
  readonly #attempts = new Map<number, Running>();
  readonly #startedAtMs = performance.now();
  #sequence = 0;
  #diskFreeBytes: number | null = null;
  #policyProblem: string | null = null;
  #drain = { operator: false, owner: false, update: false };
  readonly #whenIdle = new Set<() => void>();
  #foreground: ForegroundWatch | undefined;
  readonly #desktop = new DesktopReports();
  #door: LocalDoor | undefined;
  #endSleepWatch: () => void = () => {};
  #eventLoopDelay: ReturnType<typeof monitorEventLoopDelay> | undefined;
  #statusTimer: NodeJS.Timeout | undefined;
  #debounce: NodeJS.Timeout | undefined;
  #debounceDueAtMs = 0;
  #diskTimer: NodeJS.Timeout | undefined;
  #upkeepTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: {
    config: AgentConfig;
    identity: NodeIdentity;
    /** For PATH and the vendors' folders. */
    environment: Readonly<Record<string, string | undefined>>;
    version: string;
    log: Logger;
    onRefused: (message: string) => void;
    /** Another version is to take over: end with the code for that. */
    onOtherVersion: () => void;
  }) {
    const { config, log } = options;
    this.#config = config;
    this.#credential = options.identity.credential;
    this.#environment = options.environment;
    this.#version = options.version;
    this.#log = log;
    this.#policy = new PolicyFile(config.dataDir, (problem) => {
      this.#policyProblem = problem;
      log.error(`${problem}\nThe last usable policy stays in force.`);
    });
    this.#holds = new Holds(() => this.#reportNow());
    this.#models = new Models({
      maxConcurrent: config.maxConcurrent,
      idleUnloadMs: config.idleUnloadMinutes === 0 ? null : config.idleUnloadMinutes * 60_000,
      onChange: () => {
        this.#reportSoon();
        this.#yielding.poke();
      },
      interrupt: (modelId) => {
        for (const attempt of this.#attempts.values()) {
          if (attempt.modelId === modelId) attempt.stop('preempted', 'the model is being unloaded');
        }
      },
      freeBytes: () => {
        const room = machineRoom({
          gpus: [...this.#gpus.read()],
          memory: { totalBytes: os.totalmem(), freeBytes: availableMemoryBytes() },
        });
        return room.isWhole ? room.freeBytes : null;
      },
      log,
    });
    this.#pulls = new Pulls({
      runtimes: () => this.#models.runtimes(),
      allowed: config.allowedPulls,
      onPulled: (runtime) => this.#models.refresh(runtime),
      onChange: () => this.#reportSoon(),
      log,
    });
    this.#commands = new ModelCommands({
      models: this.#models,
      pulls: this.#pulls,
      holdsAgainst: (isForced) => this.#holdsAgainst(isForced && this.#yielding.allowsForced),
      send: (message) => this.#send(message),
      reportFirst: () => this.#report(),
      log,
    });
    this.#gpus = new Gpus({ env: { environment: options.environment }, onChange: () => this.#reportSoon() });
    this.#guard = new GpuGuard({ holds: this.#holds, gpus: this.#gpus, log });
    this.#supervisor = new Supervisor({
      sources: engineSources(config, {
        totalBytes: () => this.#gpus.contextBasisBytes(),
        usedBytes: () => this.#gpus.totalOf('vramUsedBytes'),
      }),
      dataDir: config.dataDir,
      log,
      events: {
        models: (runtime, said) => {
          const models = withOwnersWord(config.modelCapabilities, said);
          this.#models.observe(runtime, models);
          this.#guard.observe(runtime, models);
        },
        lost: (runtime) => {
          this.#models.lose(runtime);
          this.#guard.forget(runtime);
        },
        changed: () => this.#enginesChanged(),
        load: (runtime) => {
          const models = this.#models.report().filter((model) => model.runtime === runtime.kind);
          return {
            inFlight: models.reduce((sum, model) => sum + model.inFlight, 0),
            isLoading: models.some((model) => model.state === 'loading'),
            warmChatModel: models.find((model) => model.state === 'warm' && model.capabilities.includes('chat'))?.id ?? null,
          };
        },
      },
    });
    this.#yielding = new Yielding({
      dataDir: config.dataDir,
      holds: this.#holds,
      policy: this.#policy,
      models: this.#models,
      supervisor: this.#supervisor,
      gpus: this.#gpus,
      attempts: () => this.#attempts.values(),
      onChange: () => this.#reportNow(),
      log,
    });
    this.#keepAwake = new KeepAwake({ log, ...(this.#policy.policy.keepAwake ? {} : { command: null }) });
    this.#updates = config.programDir
      ? new Updates({
          program: programAt(config.programDir),
          version: options.version,
          coordinatorUrl: this.#credential.url,
          releaseKey: config.releaseKey ?? BUILT_IN_RELEASE_KEY,
          isAllowed: () => this.#policy.policy.updates === 'allow',
          drain: (limitMs) => this.#drainForUpdate(limitMs),
          undrain: () => this.#setDrain('update', false),
          restart: options.onOtherVersion,
          onChange: () => this.#reportNow(),
          log,
        })
      : null;
    this.#connection = new Connection({
      identity: options.identity,
      agentVersion: options.version,
      events: {
        opened: (welcome) => this.#greeted(welcome.statusIntervalMs, welcome.desired),
        lost: () => this.#abandon(),
        message: (message) => this.#obey(message),
        data: (frame) => this.#takeData(frame),
        refused: options.onRefused,
      },
      log,
    });
  }

  async start(): Promise<void> {
    if (this.#config.measure) {
      this.#eventLoopDelay = monitorEventLoopDelay({ resolution: MEASURE_MS });
      this.#eventLoopDelay.enable();
    }
    await Promise.all([this.#supervisor.start(), this.#pollDisk()]);
    await this.#gpus.use(this.#supervisor.mockUrl);
    this.#yielding.start();
    this.#foreground = startForegroundWatch({
      platform: process.platform,
      environment: this.#environment,
      gpus: () => this.#gpus.probe,
      games: () => this.#policy.policy.gaming.games,
      everyMs: LOOK_EVERY_MS,
      procRoot: '/proc',
      desktop: () => this.#desktop.view(performance.now()),
      onSightings: (sightings) => this.#yielding.sees(sightings),
    });
    this.#endSleepWatch = watchSleep((sleptMs) => this.#woke(sleptMs), { everyMs: SLEEP_LOOK_MS });
    this.#door = await openLocalDoor({
      dataDir: this.#config.dataDir,
      port: this.#config.localPort,
      log: this.#log,
      verbs: {
        status: () => this.status(),
        gaming: (wish) => this.#yielding.ownerWishes(wish),
        stopAll: () => this.#yielding.stopAll(),
        drain: (isDraining) => this.#setDrain('owner', isDraining),
        pull: (model, signal) => (this.#pulls.canPull ? this.#pulls.watch(model, signal) : null),
        desktop: (report) => this.#desktop.tell(report, performance.now()),
        update: (wish, onNews) => this.#updates?.update({ ...wish, by: 'owner' }, onNews) ?? null,
      },
    });
    this.#upkeepTimer = setInterval(() => this.#models.tick({ mayLoad: this.#holds.list().length === 0 }), UPKEEP_MS);
    this.#connection.start();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of [this.#statusTimer, this.#debounce, this.#diskTimer, this.#upkeepTimer]) clearTimeout(timer);
    this.#endSleepWatch();
    this.#eventLoopDelay?.disable();
    this.#connection.close();
    this.#abandon();
    this.#pulls.close();
    this.#yielding.close();
    await Promise.all([this.#door?.close(), this.#foreground?.close(), this.#gpus.close(), this.#keepAwake.close()]);
    await this.#supervisor.close();
  }

  /** For the machine's owner; see local/. */
  status(): LocalStatus {
    const { state } = this.#connection;
    const delayMs = this.#eventLoopDelay ? Math.max(0, this.#eventLoopDelay.max / 1e6 - MEASURE_MS) : null;
    this.#eventLoopDelay?.reset();
    const snapshot = this.#snapshot();
    return {
      version: LOCAL_VERSION,
      node: { name: this.#credential.name, nodeId: this.#credential.nodeId, agentVersion: this.#version, pid: process.pid },
      coordinator: { url: this.#credential.url, state: state.kind, detail: state.kind === 'refused' ? state.message : null },
      snapshot,
      engines: this.#supervisor.engines.map((engine) => ({
        name: engine.spec.name,
        phase: engine.life.phase,
        isOwned: engine.isOwned,
        pid: engine.pid ?? null,
        reason: engine.life.reason ?? engine.report().detail,
        version: engine.life.version,
      })),
      troubles: [
        ...[this.#gpus.probe.trouble(), this.#foreground?.trouble() ?? null, this.#policyProblem].flatMap((word) => word ?? []),
        ...this.#guard.troubles,
        ...(snapshot.troubles ?? []),
      ],
      process: {
        uptimeMs: performance.now() - this.#startedAtMs,
        rssBytes: process.memoryUsage.rss(),
        isKeepingAwake: this.#keepAwake.isHeld,
        eventLoopDelayMaxMs: delayMs,
      },
    };
  }

  // Report

  #snapshot(): NodeSnapshot {
    this.#sequence += 1;
    return takeSnapshot({
      name: this.#credential.name,
      sequence: this.#sequence,
      takenAtMs: Date.now(),
      agentVersion: this.#version,
      os: { platform: os.platform(), release: os.release(), arch: os.arch() },
      memory: { totalBytes: os.totalmem(), freeBytes: availableMemoryBytes() },
      modelDiskFreeBytes: this.#diskFreeBytes,
      runtimes: this.#supervisor.reports(),
      obstacles: this.#supervisor.obstacles,
      gpus: this.#gpus.read(),
      models: this.#models.report(),
      pulls: this.#pulls.report(),
      holds: this.#holds.list(),
      gaming: this.#yielding.gaming.report,
      preemption: this.#yielding.preemption(),
      update: this.#updates?.report() ?? null,
      maxConcurrent: this.#config.maxConcurrent,
      inFlight: this.#models.inFlight,
    });
  }

  #report(): void {
    this.#connection.send({ type: 'node.status', snapshot: this.#snapshot() });
  }

  #reportSoon(withinMs = STATUS_DEBOUNCE_MS): void {
    const dueAtMs = performance.now() + withinMs;
    if (this.#debounce && this.#debounceDueAtMs <= dueAtMs) return;
    clearTimeout(this.#debounce);
    this.#debounceDueAtMs = dueAtMs;
    this.#debounce = setTimeout(() => {
      this.#debounce = undefined;
      this.#report();
    }, withinMs);
  }

  /** For what must not wait: whoever starts a game wants no more work from this moment on. */
  #reportNow(): void {
    clearTimeout(this.#debounce);
    this.#debounce = undefined;
    this.#report();
  }

  #enginesChanged(): void {
    this.#reportSoon();
    this.#yielding.poke();
    void this.#gpus.use(this.#supervisor.mockUrl);
  }

  async #pollDisk(): Promise<void> {
    const disk = await statfs(this.#config.dataDir).catch(() => null);
    this.#diskFreeBytes = disk && disk.bavail * disk.bsize;
    if (!this.#isClosed) this.#diskTimer = setTimeout(() => void this.#pollDisk(), DISK_POLL_MS);
  }

  // Obey

  #greeted(statusIntervalMs: number, desired: NodeDesired): void {
    clearInterval(this.#statusTimer);
    this.#statusTimer = setInterval(() => this.#report(), statusIntervalMs);
    this.#wish(desired);
    this.#updates?.connected();
    this.#report();
  }

  /** The coordinator is gone, and with it everybody who waits for an answer. Models stay loaded. */
  #abandon(): void {
    clearInterval(this.#statusTimer);
    for (const { runner } of this.#attempts.values()) runner.stop(null, 'connection lost');
  }

  #woke(sleptMs: number): void {
    this.#log.info({ sleptMs: Math.round(sleptMs) }, 'the machine slept; is the coordinator still there?');
    this.#connection.verify();
    for (const engine of this.#supervisor.engines) engine.look();
  }

  #obey(message: CoordinatorMessage): void {
    switch (message.type) {
      case 'attempt.start':
        this.#startAttempt(message);
        return;
      case 'attempt.cancel':
        this.#findAttempt(message.attemptId)?.stop('canceled', message.reason);
        return;
      case 'attempt.credit':
        this.#attempts.get(message.stream)?.runner.grant(message.bytes);
        return;
      case 'model.load':
      case 'model.unload':
      case 'model.pull':
      case 'model.delete':
      case 'model.cancel':
        this.#commands.obey(message);
        return;
      case 'node.update':
        void this.#update(message);
        return;
      case 'node.desire':
        this.#wish(message.desired);
        return;
      default:
        this.#log.debug({ type: message.type }, 'message has no meaning here');
    }
  }

  #takeData(frame: DataFrame): void {
    if (frame.kind === 'body' || frame.kind === 'body-end') {
      this.#attempts.get(frame.stream)?.runner.receiveBody(frame.bytes, frame.kind === 'body-end');
    }
  }

  #startAttempt(start: z.infer<typeof AttemptStart>): void {
    const refuse = (code: 'node_held' | 'node_busy' | 'model_not_found', detail: string) =>
      this.#send({ type: 'attempt.fail', attemptId: start.attemptId, code, detail });
    const isForced = start.isForced === true && this.#yielding.allowsForced;
    const held = this.#holdsAgainst(isForced);
    if (held.length > 0) {
      refuse('node_held', held.join(', '));
      return;
    }
    const slot = this.#models.take(start.model);
    if (typeof slot === 'string') {
      refuse(slot, `${start.model} at ${this.#credential.name}`);
      return;
    }
    const engine = this.#supervisor.of(slot.runtime);
    const runner = new AttemptRunner({
      start,
      runtime: slot.runtime,
      sink: {
        send: (message) => {
          if (message.type === 'attempt.end') this.#worked(slot.modelId, message);
          if (message.type === 'attempt.fail') {
            if (message.code === 'engine_crashed') this.#crashed(slot.modelId);
            if (message.code === 'first_token_timeout' || message.code === 'stall_timeout') engine?.sawStall();
          }
          this.#send(message);
        },
        sendData: (bytes) => {
          engine?.sawTokens();
          this.#connection.sendData(bytes);
        },
      },
      // A load of its own: whoever hangs up while the model is coming does not take it away from the next one.
      prepare: () => (slot.runtime.abilities.load ? this.#models.load(slot.modelId) : Promise.resolve()),
      log: this.#log,
    });
    this.#attempts.set(start.stream, {
      runner,
      isForced,
      modelId: slot.modelId,
      stop: (code, reason) => runner.stop(code, reason),
    });
    if (isForced) this.#yielding.forcedBegan();
    this.#keepAwake.set(true);
    this.#reportSoon(WORK_REPORT_MS);
    this.#send({ type: 'attempt.accept', attemptId: start.attemptId });
    void runner.ended.finally(() => {
      this.#attempts.delete(start.stream);
      slot.release();
      this.#reportSoon(WORK_REPORT_MS);
      if (this.#attempts.size === 0) {
        this.#keepAwake.set(false);
        for (const resume of this.#whenIdle) resume();
      }
      this.#yielding.poke();
    });
  }

  #findAttempt(attemptId: string): AttemptRunner | undefined {
    for (const { runner } of this.#attempts.values()) if (runner.start.attemptId === attemptId) return runner;
    return undefined;
  }

  #worked(modelId: string, { usage, timings }: z.infer<typeof AttemptEnd>): void {
    this.#models.worked(modelId);
    if (usage && timings && timings.firstContentMs !== null)
      this.#guard.speeds.note(modelId, usage.completionTokens - 1, timings.totalMs - timings.firstContentMs);
  }

  #crashed(modelId: string): void {
    this.#models.crashed(modelId, {
      code: 'engine_crashed',
      message: `the engine died while ${modelId} was answering`,
      atMs: Date.now(),
    });
  }

  /** Why new work is refused; empty when it is welcome. */
  #holdsAgainst(isForced: boolean): string[] {
    const isPassing = isForced && this.#yielding.allowsForced;
    return this.#holds.list().flatMap(({ kind }) => (isPassing && kind === 'gaming' ? [] : [kind]));
  }

  #wish(desired: NodeDesired): void {
    this.#setDrain('operator', desired.isDraining);
    this.#models.pin(desired.pinnedModels);
    this.#yielding.operatorWishes(desired.gaming);
  }

  /** Several may ask for it, and it is over when all have taken it back. */
  #setDrain(by: 'operator' | 'owner' | 'update', isDraining: boolean): void {
    this.#drain = { ...this.#drain, [by]: isDraining };
    const cause = (['owner', 'operator', 'update'] as const).find((each) => this.#drain[each]) ?? null;
    const held = this.#holds.list().find(({ kind }) => kind === 'draining');
    if (cause === (held?.cause ?? null)) return;
    if (cause === null) this.#holds.clear('draining');
    else this.#holds.set({ kind: 'draining', cause, sinceMs: held?.sinceMs ?? Date.now(), untilMs: null });
  }

  #drainForUpdate(limitMs: number): Promise<void> {
    this.#setDrain('update', true);
    if (this.#attempts.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const resume = () => {
        clearTimeout(timer);
        this.#whenIdle.delete(resume);
        resolve();
      };
      const timer = setTimeout(resume, limitMs);
      this.#whenIdle.add(resume);
    });
  }

  async #update({ commandId, release, isForced = false }: Extract<CoordinatorMessage, { type: 'node.update' }>): Promise<void> {
    const progress = (stage: string) =>
      this.#send({ type: 'command.progress', commandId, stage, completedBytes: null, totalBytes: null });
    try {
      if (!this.#updates) throw new Error('This agent was not installed as a service, so nothing would start it again.');
      progress('looking');
      await this.#updates.update({ signed: release, isForced, by: 'coordinator' }, progress);
      this.#send({ type: 'command.result', commandId, ok: true });
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      this.#log.warn({ detail }, 'not updated');
      this.#send({ type: 'command.result', commandId, ok: false, code: 'update_refused', detail: detail.slice(0, 500) });
    }
  }

  #send(message: AgentMessage): void {
    this.#connection.send(message);
  }
}

/** Linux counts caches as used; what a load can really have is MemAvailable. */
const availableMemoryBytes = (): number => {
  if (os.platform() !== 'linux') return os.freemem();
  try {
    const kib = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    return kib ? Number(kib) * 1024 : os.freemem();
  } catch {
    return os.freemem();
  }
};
