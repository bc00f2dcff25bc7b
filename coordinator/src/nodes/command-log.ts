import { CommandView } from '@lai/shared/fleet-api';
import type { Logger } from 'pino';
import { z } from 'zod';
import { isUp, type LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { CommandFrame, ModelRequest } from './running-command.ts';

const MOST_ENDED = 50;
const MOST_RUNNING = 500;
const KEEP_SECONDS = 24 * 3_600;
/** Progress is told to others at most so often. */
const TELL_MS = 1_000;
/** Whoever watches a command says so at least this often, or is gone. Loads may be silent for minutes. */
const LOST_MS = { 'model.load': 15 * 60_000, other: 90_000 };

const CommandMessage = z.object({ type: z.literal('command.view'), view: CommandView });

/**
 * What nodes were told to do with models and how far it is, at whichever replica it was asked, so that it can be seen and canceled from
 * anywhere, after a reload too. Redis keeps it over a restart. Each replica writes the commands that it watches.
 */
export class CommandLog {
  readonly #redis: LaiRedis;
  readonly #broadcast: (message: unknown) => void;
  readonly #log: Logger;
  readonly #views = new Map<string, CommandView>();
  readonly #toldAtMs = new Map<string, number>();
  readonly #listeners = new Set<(view: CommandView) => void>();

  constructor(options: { redis: LaiRedis; broadcast: (message: unknown) => void; log: Logger }) {
    this.#redis = options.redis;
    this.#broadcast = options.broadcast;
    this.#log = options.log;
  }

  onChange(listener: (view: CommandView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Newest first. */
  list(nodeId?: string, nowMs = Date.now()): CommandView[] {
    return [...this.#views.values()]
      .filter((view) => nodeId === undefined || view.nodeId === nodeId)
      .map((view) => (isLost(view, nowMs) ? { ...view, state: 'lost' as const } : view))
      .sort((a, b) => b.startedAtMs - a.startedAtMs);
  }

  /** Notes a command that begins; call the result with each of its frames, and with the sentence of its failure. */
  begin(
    command: { commandId: string; nodeId: string; request: ModelRequest; startedBy: string },
    nowMs = Date.now(),
  ): (frame: CommandFrame, sentence?: string) => void {
    const { commandId, nodeId, request, startedBy } = command;
    let view: CommandView = {
      ...{ commandId, nodeId, type: request.type, model: request.model, startedBy },
      ...{ stage: null, completedBytes: null, totalBytes: null, message: null },
      ...{ startedAtMs: nowMs, updatedAtMs: nowMs, state: 'running' },
    };
    this.#put(view);
    return (frame, sentence) => {
      view = viewAfter(view, frame, sentence ?? null, Date.now());
      this.#put(view);
    };
  }

  /** What the others, and we before a restart, have written. */
  async readAll(): Promise<void> {
    if (!isUp(this.#redis)) return;
    try {
      for (const json of Object.values(await this.#redis.hgetall(keys.commands))) {
        const view = CommandView.safeParse(JSON.parse(json));
        if (view.success) this.#take(view.data);
      }
    } catch (err) {
      this.#log.debug({ err }, 'commands of others not read; they are told again with their next step');
    }
  }

  /** True when the message of another replica was for this. */
  hear(message: unknown): boolean {
    const parsed = CommandMessage.safeParse(message);
    if (parsed.success) this.#take(parsed.data.view);
    return parsed.success;
  }

  #put(view: CommandView): void {
    this.#take(view);
    const { commandId, state, updatedAtMs } = view;
    if (state === 'running' && updatedAtMs - (this.#toldAtMs.get(commandId) ?? 0) < TELL_MS) return;
    if (state === 'running') this.#toldAtMs.set(commandId, updatedAtMs);
    else this.#toldAtMs.delete(commandId);
    this.#broadcast({ type: 'command.view', view });
    if (!isUp(this.#redis)) return;
    this.#redis.hset(keys.commands, commandId, JSON.stringify(view)).catch(() => {});
    this.#redis.expire(keys.commands, KEEP_SECONDS).catch(() => {});
  }

  #take(view: CommandView): void {
    const known = this.#views.get(view.commandId);
    // An ending is the last word, whatever arrives late.
    if (known && (known.state !== 'running' || known.updatedAtMs > view.updatedAtMs)) return;
    this.#views.set(view.commandId, view);
    this.#forgetOldest();
    for (const listener of this.#listeners) listener(view);
  }

  #forgetOldest(): void {
    const [running, ended] = [true, false].map((isRunning) =>
      [...this.#views.values()].filter(({ state }) => (state === 'running') === isRunning),
    );
    const old = [...(ended ?? []).slice(0, -MOST_ENDED), ...(running ?? []).slice(0, -MOST_RUNNING)];
    for (const { commandId } of old) {
      this.#views.delete(commandId);
      if (isUp(this.#redis)) this.#redis.hdel(keys.commands, commandId).catch(() => {});
    }
  }
}

/** Pure. */
export const viewAfter = (view: CommandView, frame: CommandFrame, sentence: string | null, nowMs: number): CommandView => {
  if (frame.kind === 'progress') {
    const { stage, completedBytes, totalBytes } = frame;
    return { ...view, stage, completedBytes, totalBytes, updatedAtMs: nowMs };
  }
  if (frame.kind === 'done') return { ...view, state: 'done', updatedAtMs: nowMs };
  const state = frame.code === 'canceled' ? 'canceled' : 'failed';
  return { ...view, state, message: state === 'failed' ? (sentence ?? frame.detail) : null, updatedAtMs: nowMs };
};

/** Nobody watches it any more. Pure. */
export const isLost = ({ state, type, updatedAtMs }: CommandView, nowMs: number): boolean =>
  state === 'running' && nowMs - updatedAtMs > (type === 'model.load' ? LOST_MS['model.load'] : LOST_MS.other);
