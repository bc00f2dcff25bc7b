import type { Random } from '../random.ts';
import type { ProcessClock, Timeline } from '../timeline.ts';
import { emptyData, type RedisData } from './data.ts';

/** What ioredis is configured with: a command that is not answered by then counts as failed, and may have happened. */
const COMMAND_LIMIT_MS = 2_000;
/** Answers that come this close together are read from the socket in one go. */
const ONE_READ_MS = 0.05;

/**
 * One Redis for all replicas, with what can happen to it: it goes away and comes back with all, some or nothing of what it knew; it
 * hangs, and does later what was asked of it; it is slow. What is executed is executed at one moment, whatever becomes of the answer.
 */
export class SimulatedRedis {
  data: RedisData = emptyData();
  readonly timeline: Timeline;
  readonly #random: Random;
  readonly #connections = new Set<RedisConnection>();
  #state: 'up' | 'hung' | 'down' = 'up';
  #held: (() => void)[] = [];
  #older: RedisData | null = null;
  slowByMs = 0;
  /** When it last was other than up. */
  lastTroubleAtMs = Number.NEGATIVE_INFINITY;
  /** When it last knew less than before. */
  lastLossAtMs = Number.NEGATIVE_INFINITY;
  commands = 0;

  constructor(timeline: Timeline, random: Random) {
    this.timeline = timeline;
    this.#random = random;
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  connect(clock: ProcessClock, name: string): RedisConnection {
    const connection = new RedisConnection(this, clock, this.#random.fork(name));
    this.#connections.add(connection);
    return connection;
  }

  forget(connection: RedisConnection): void {
    this.#connections.delete(connection);
    connection.break();
  }

  /** Kept for a crash that loses what came after. */
  remember(): void {
    if (this.#state === 'up') this.#older = structuredClone(this.data);
  }

  goDown(memory: 'kept' | 'lost' | 'older'): void {
    if (this.#state === 'down') return;
    this.#trouble('down');
    this.#held = [];
    if (memory === 'lost') this.data = emptyData();
    if (memory === 'older' && this.#older) this.data = structuredClone(this.#older);
    if (memory !== 'kept') this.lastLossAtMs = this.timeline.nowMs;
    for (const connection of this.#connections) connection.break();
  }

  hang(): void {
    if (this.#state !== 'up') return;
    this.#trouble('hung');
    for (const connection of this.#connections) connection.limitAll();
  }

  comeBack(): void {
    if (this.#state === 'up') return;
    this.#trouble('up');
    for (const run of this.#held.splice(0)) run();
    for (const connection of this.#connections) if (!connection.isUp) connection.reconnectSoon();
  }

  execute(run: () => void): void {
    if (this.#state === 'hung') this.#held.push(run);
    else if (this.#state === 'up') run();
  }

  get isHung(): boolean {
    return this.#state === 'hung';
  }

  /** A broken connection is a trouble of everybody's who shares what it was to tell. */
  note(): void {
    this.lastTroubleAtMs = this.timeline.nowMs;
  }

  publish(channel: string, message: unknown): void {
    for (const connection of this.#connections) connection.hear(channel, message);
  }

  #trouble(state: 'up' | 'hung' | 'down'): void {
    this.#state = state;
    this.note();
  }
}

interface Pending {
  settle: ((how: 'answer' | 'away' | 'timeout') => void) | null;
  answerAtMs: number | null;
  isLimited: boolean;
}

/** A replica's connection, as ioredis behaves with the settings of redis/client.ts: nothing is queued while it is broken, nothing is sent twice. */
export class RedisConnection {
  readonly #redis: SimulatedRedis;
  readonly #clock: ProcessClock;
  readonly #random: Random;
  readonly #pending = new Set<Pending>();
  readonly #upListeners: (() => void)[] = [];
  readonly #subscriptions = new Map<string, (message: unknown) => void>();
  #isUp = true;
  #isCut = false;
  #generation = 0;
  #lastArrivalMs = 0;
  #lastAnswerMs = 0;
  #lastHeardMs = 0;

  constructor(redis: SimulatedRedis, clock: ProcessClock, random: Random) {
    this.#redis = redis;
    this.#clock = clock;
    this.#random = random;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  onUp(listener: () => void): void {
    this.#upListeners.push(listener);
  }

  subscribe(channel: string, listener: (message: unknown) => void): void {
    this.#subscriptions.set(channel, listener);
  }

  /** `run` happens once, at one moment on the server, or never; the promise says what the caller can know of it. */
  ask<T>(run: (data: RedisData, nowMs: number) => T): Promise<T> {
    if (!this.#isUp) return Promise.reject(new Error('redis is away'));
    this.#redis.commands += 1;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let outcome: { value: T } | { error: unknown } | null = null;
    const pending: Pending = {
      answerAtMs: null,
      isLimited: false,
      settle: (how) => {
        pending.settle = null;
        this.#pending.delete(pending);
        if (how !== 'answer') reject(new Error(how === 'away' ? 'redis connection closed' : 'redis command timed out'));
        else if (outcome && 'value' in outcome) resolve(outcome.value);
        else reject(outcome?.error ?? new Error('redis gave no answer'));
      },
    };
    this.#pending.add(pending);
    const generation = this.#generation;
    const { timeline } = this.#redis;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, timeline.nowMs + this.#latencyMs());
    timeline.after(this.#lastArrivalMs - timeline.nowMs, () => {
      // On its way when the connection broke: it may have got through.
      if (generation !== this.#generation && !this.#random.chance(0.5)) return;
      this.#redis.execute(() => {
        try {
          outcome = { value: run(this.#redis.data, timeline.nowMs) };
        } catch (error) {
          outcome = { error };
        }
        if (generation === this.#generation) this.#answer(pending);
      });
    });
    if (this.#redis.isHung) this.#limit(pending);
    return promise;
  }

  /** As good as pub/sub is: whoever is not connected misses it. */
  publish(channel: string, message: unknown): void {
    this.ask(() => this.#redis.publish(channel, message)).catch(() => {});
  }

  hear(channel: string, message: unknown): void {
    const listener = this.#subscriptions.get(channel);
    if (!listener || !this.#isUp) return;
    const generation = this.#generation;
    const { timeline } = this.#redis;
    this.#lastHeardMs = Math.max(this.#lastHeardMs, timeline.nowMs + this.#latencyMs());
    timeline.after(this.#lastHeardMs - timeline.nowMs, () => {
      if (generation === this.#generation) this.#clock.deliver(() => listener(message));
    });
  }

  break(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#generation += 1;
    const pending = [...this.#pending];
    this.#clock.deliver(() => {
      for (const command of pending) command.settle?.('away');
    });
    this.reconnectSoon();
  }

  /** This connection alone does not come back before `mend`. */
  cut(): void {
    this.#redis.note();
    this.#isCut = true;
    this.break();
  }

  mend(): void {
    this.#redis.note();
    this.#isCut = false;
    this.reconnectSoon();
  }

  reconnectSoon(): void {
    this.#clock.after(this.#random.between(10, 500), () => {
      if (this.#isUp || this.#isCut || !this.#redis.isUp) return;
      this.#redis.note();
      this.#isUp = true;
      for (const listener of this.#upListeners) listener();
    });
  }

  limitAll(): void {
    for (const command of this.#pending) this.#limit(command);
  }

  #limit(pending: Pending): void {
    if (pending.isLimited) return;
    pending.isLimited = true;
    this.#clock.after(COMMAND_LIMIT_MS, () => pending.settle?.('timeout'));
  }

  #answer(pending: Pending): void {
    const { timeline } = this.#redis;
    this.#lastAnswerMs = Math.max(this.#lastAnswerMs, timeline.nowMs + this.#latencyMs());
    pending.answerAtMs = this.#lastAnswerMs;
    timeline.after(this.#lastAnswerMs - timeline.nowMs, () => {
      if (!pending.settle) return;
      this.#clock.deliver(() => this.#read(this.#lastAnswerOf(pending)));
    });
  }

  #lastAnswerOf(pending: Pending): number {
    return (pending.answerAtMs ?? 0) + ONE_READ_MS;
  }

  /** Everything that has come up to then, in order, before any of it is acted on. */
  #read(untilMs: number): void {
    for (const command of [...this.#pending]) {
      if (command.answerAtMs !== null && command.answerAtMs <= untilMs) command.settle?.('answer');
    }
  }

  #latencyMs(): number {
    return this.#random.between(0.05, 0.6) + (this.#redis.slowByMs > 0 ? this.#random.exponential(this.#redis.slowByMs) : 0);
  }
}
