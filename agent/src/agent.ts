import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import os from 'node:os';
import type { NodeDesired, NodeSnapshot } from '@lai/shared/node';
import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import type { DataFrame } from '@lai/shared/protocol/codec';
import type { AttemptStart, CoordinatorMessage, ModelLoad } from '@lai/shared/protocol/coordinator-message';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { AttemptRunner } from './attempts/attempt-runner.ts';
import { Holds } from './availability/holds.ts';
import type { AgentConfig } from './config.ts';
import { Connection } from './connection/connection.ts';
import { type NodeCredential, writeCredential } from './identity.ts';
import { Models } from './models/models.ts';
import { type Runtime, RuntimeError } from './runtimes/runtime.ts';
import type { GpuProbe } from './sensors/gpu.ts';
import { takeSnapshot } from './snapshot.ts';

const STATUS_DEBOUNCE_MS = 100;
const RUNTIME_POLL_MS = 2_000;
const RUNTIME_CALL_LIMIT_MS = 5_000;
const DISK_POLL_MS = 30_000;

/**
 * The daemon: three loops around one socket. **Connect** keeps the socket up (connection/). **Report** watches runtime and sensors and
 * sends whole snapshots, on change (debounced) and on the interval that the coordinator asks for. **Obey** runs attempts, loads models
 * and takes the operator's wishes.
 */
export class Agent {
  readonly #config: AgentConfig;
  readonly #credential: NodeCredential;
  readonly #runtime: Runtime;
  readonly #gpus: GpuProbe;
  readonly #version: string;
  readonly #log: Logger;
  readonly #models: Models;
  readonly #holds: Holds;
  readonly #connection: Connection;
  /** By stream number; single writer. */
  readonly #attempts = new Map<number, AttemptRunner>();
  #sequence = 0;
  #diskFreeBytes: number | null = null;
  #statusTimer: NodeJS.Timeout | undefined;
  #debounce: NodeJS.Timeout | undefined;
  #pollTimer: NodeJS.Timeout | undefined;
  #diskTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: {
    config: AgentConfig;
    credential: NodeCredential;
    runtime: Runtime;
    gpus: GpuProbe;
    version: string;
    log: Logger;
    onRefused: (message: string) => void;
  }) {
    this.#config = options.config;
    this.#credential = options.credential;
    this.#runtime = options.runtime;
    this.#gpus = options.gpus;
    this.#version = options.version;
    this.#log = options.log;
    this.#holds = new Holds(() => this.#reportSoon());
    this.#models = new Models({
      maxConcurrent: options.config.maxConcurrent,
      onChange: () => this.#reportSoon(),
      log: options.log,
    });
    this.#connection = new Connection({
      credential: options.credential,
      agentVersion: options.version,
      saveGeneration: (generation) => writeCredential(options.config.dataDir, { ...this.#credential, generation }),
      events: {
        opened: (welcome) => this.#greeted(welcome.statusIntervalMs, welcome.desired),
        lost: () => this.#abandon(),
        message: (message) => this.#obey(message),
        data: (frame) => this.#takeData(frame),
        refused: options.onRefused,
      },
      log: options.log,
    });
  }

  async start(): Promise<void> {
    await Promise.all([this.#pollRuntime(), this.#pollDisk()]);
    this.#gpus.onChange(() => this.#reportSoon());
    this.#connection.start();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of [this.#statusTimer, this.#debounce, this.#pollTimer, this.#diskTimer]) clearTimeout(timer);
    this.#connection.close();
    this.#abandon();
    await this.#gpus.close();
    await this.#runtime.close();
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
      runtimes: [this.#runtime.report()],
      gpus: this.#gpus.read(),
      models: this.#models.report(),
      holds: this.#holds.list(),
      maxConcurrent: this.#config.maxConcurrent,
      inFlight: this.#models.inFlight,
    });
  }

  #report(): void {
    this.#connection.send({ type: 'node.status', snapshot: this.#snapshot() });
  }

  #reportSoon(): void {
    this.#debounce ??= setTimeout(() => {
      this.#debounce = undefined;
      this.#report();
    }, STATUS_DEBOUNCE_MS);
  }

  async #pollRuntime(): Promise<void> {
    try {
      this.#models.observe(this.#runtime, await this.#runtime.listModels(AbortSignal.timeout(RUNTIME_CALL_LIMIT_MS)));
    } catch (error) {
      this.#models.lose(this.#runtime);
      this.#log.debug({ err: error }, 'runtime does not answer');
      this.#reportSoon();
    }
    if (!this.#isClosed) this.#pollTimer = setTimeout(() => void this.#pollRuntime(), RUNTIME_POLL_MS);
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
    this.#report();
  }

  /** The coordinator is gone, and with it everybody who waits for an answer. Models stay loaded. */
  #abandon(): void {
    clearInterval(this.#statusTimer);
    for (const attempt of this.#attempts.values()) attempt.stop(null, 'connection lost');
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
        this.#attempts.get(message.stream)?.grant(message.bytes);
        return;
      case 'model.load':
        void this.#load(message);
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
      this.#attempts.get(frame.stream)?.receiveBody(frame.bytes, frame.kind === 'body-end');
    }
  }

  #startAttempt(start: z.infer<typeof AttemptStart>): void {
    const refuse = (code: 'node_held' | 'node_busy' | 'model_not_found', detail: string) =>
      this.#send({ type: 'attempt.fail', attemptId: start.attemptId, code, detail });
    const holds = this.#holds.list().map((hold) => hold.kind);
    if (holds.length > 0) {
      refuse('node_held', holds.join(', '));
      return;
    }
    const slot = this.#models.take(start.model);
    if (typeof slot === 'string') {
      refuse(slot, `${start.model} at ${this.#credential.name}`);
      return;
    }
    const attempt = new AttemptRunner({
      start,
      runtime: slot.runtime,
      sink: {
        send: (message) => {
          if (message.type === 'attempt.end') this.#models.worked(slot.modelId);
          if (message.type === 'attempt.fail' && message.code === 'engine_crashed') this.#crashed(slot.modelId);
          this.#send(message);
        },
        sendData: (bytes) => this.#connection.sendData(bytes),
      },
      log: this.#log,
    });
    this.#attempts.set(start.stream, attempt);
    this.#send({ type: 'attempt.accept', attemptId: start.attemptId });
    void attempt.ended.finally(() => {
      this.#attempts.delete(start.stream);
      slot.release();
    });
  }

  #findAttempt(attemptId: string): AttemptRunner | undefined {
    for (const attempt of this.#attempts.values()) if (attempt.start.attemptId === attemptId) return attempt;
    return undefined;
  }

  #crashed(modelId: string): void {
    this.#models.crashed(modelId, {
      code: 'engine_crashed',
      message: `the engine died while ${modelId} was answering`,
      atMs: Date.now(),
    });
  }

  async #load({ commandId, model }: z.infer<typeof ModelLoad>): Promise<void> {
    try {
      await this.#models.load(model);
      // The news first: whoever hears that the load is done looks at the snapshot next.
      this.#report();
      this.#send({ type: 'command.result', commandId, ok: true });
    } catch (error) {
      const { code, detail } = error instanceof RuntimeError ? error : { code: 'load_failed' as const, detail: String(error) };
      this.#send({ type: 'command.result', commandId, ok: false, code, detail });
    }
  }

  #wish(desired: NodeDesired): void {
    if (desired.isDraining) this.#holds.set({ kind: 'draining', cause: 'operator', sinceMs: Date.now(), untilMs: null });
    else this.#holds.clear('draining');
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
