import { hash } from 'node:crypto';
import type { Answer, TrailAttempt } from '../../coordinator/src/dispatch/dispatcher.ts';
import type { Target } from '../../coordinator/src/routing/target.ts';
import { CodedError } from '../../shared/src/errors.ts';
import type { Replica } from './fleet/replica.ts';
import type { Happening, History } from './history.ts';
import type { RequestPlan } from './plan/plan.ts';
import type { Timeline } from './timeline.ts';

export const targetOf = (model: string): Target => ({ model, capabilities: ['chat'], contextTokens: 100 });

type Ending = Extract<Happening, { kind: 'request.ended' }>['how'];

/** One client with one request at one replica's door, as api/ would serve it. */
export class Client {
  readonly request: RequestPlan;
  readonly replica: Replica;
  /** As the dispatcher names it. */
  readonly fingerprint: string;
  readonly #body: Uint8Array;
  readonly #timeline: Timeline;
  readonly #history: History;
  readonly #abort = new AbortController();
  readonly #frozenBeforeMs: number;
  readonly #deadlineMs: number;
  #answer: Answer | null = null;
  /** Null until it is over. */
  how: Ending | null = null;
  #hasLeft = false;
  #leftAtMs = 0;

  constructor(options: { request: RequestPlan; replica: Replica; timeline: Timeline; history: History }) {
    this.request = options.request;
    this.replica = options.replica;
    this.#timeline = options.timeline;
    this.#history = options.history;
    this.#frozenBeforeMs = options.replica.clock.frozenMs;
    this.#deadlineMs = options.timeline.nowMs + options.request.totalMs;
    const { request, replica, timeline, history } = options;
    const { text, tokens, poison, failChance } = request;
    // What the engine must know to play its part.
    this.#body = new TextEncoder().encode(JSON.stringify({ text, tokens, poison, failChance }));
    this.fingerprint = hash('sha1', this.#body, 'base64');
    history.tell({ kind: 'request.arrived', request, replicaId: replica.id, atMs: timeline.nowMs });
    replica.clock.deliver(() => void this.#run());
    if (request.abortAfterMs !== null) timeline.after(request.abortAfterMs, () => this.#leave());
  }

  get isOver(): boolean {
    return this.how !== null;
  }

  /** In a queue, or between two attempts. */
  get isWaiting(): boolean {
    const trail = this.#answer?.trail;
    return !this.isOver && trail !== undefined && (trail.queueMs === null || trail.attempts.at(-1)?.outcome !== 'running');
  }

  /** Later than anybody may be answered, by how much; negative while there is time. */
  get lateMs(): number {
    const sinceMs = this.#hasLeft ? this.#leftAtMs : this.#deadlineMs;
    return this.#timeline.nowMs - sinceMs - (this.replica.clock.frozenMs - this.#frozenBeforeMs) - this.request.readPauseMs;
  }

  /** Its coordinator is gone, and the connection with it. */
  replicaDied(): void {
    this.#end('dead');
  }

  #leave(): void {
    if (this.isOver) return;
    this.#hasLeft = true;
    this.#leftAtMs = this.#timeline.nowMs;
    this.replica.clock.deliver(() => this.#abort.abort());
  }

  async #run(): Promise<void> {
    const { request, replica } = this;
    const { id, key, model, priorityClass, text } = request;
    const nowMs = this.replica.clock.nowMs();
    const deadlineMs = nowMs + request.totalMs;
    try {
      this.#answer = replica.dispatcher.answer({
        requestId: id,
        keyId: key,
        route: 'chat.completions',
        target: targetOf(model),
        bodyFor: () => this.#body,
        priorityClass,
        affinity: { session: null, prefix: text.slice(0, 1) },
        queueDeadlineMs: Math.min(deadlineMs, nowMs + request.queueMs),
        deadlineMs,
        signal: this.#abort.signal,
      });
      this.#end(await this.#read(this.#answer));
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#end(error.code);
    }
  }

  async #read(answer: Answer): Promise<Ending> {
    for await (const frame of answer.frames) {
      if (frame.kind === 'end') return 'end';
      if (frame.kind === 'failed') return frame.code;
      if (frame.chunk !== 'content') continue;
      const attemptId = new TextDecoder().decode(frame.bytes).split(':')[0] ?? '';
      this.#history.tell({ kind: 'request.content', requestId: this.request.id, attemptId });
      if (this.request.readPauseMs > 0) await new Promise<void>((go) => this.replica.clock.after(this.request.readPauseMs, go));
    }
    return 'left';
  }

  #end(how: Ending): void {
    const lateMs = this.lateMs;
    if (this.how !== null) throw new Error(`${this.request.id} ended twice`);
    this.how = how;
    const attempts = (this.#answer?.trail.attempts ?? []).map(wordsOf);
    const requestId = this.request.id;
    this.#history.tell({ kind: 'request.ended', requestId, how, atMs: this.#timeline.nowMs, lateMs, attempts });
  }
}

const wordsOf = ({ nodeId, outcome }: TrailAttempt): string => `${nodeId} ${outcome}`;
