import { type Liveness, PING_BUSY_MS, PING_IDLE_MS, Pulse } from '../../../coordinator/src/nodes/liveness.ts';
import {
  type AttemptRequest,
  type LoadOutcome,
  loadOutcome,
  type Outcome,
  type Reach,
  type RunningAttempt,
} from '../../../coordinator/src/nodes/node-session.ts';
import { type CommandRequest, RunningCommand } from '../../../coordinator/src/nodes/running-command.ts';
import { FrameStream } from '../../../coordinator/src/streams/frame-stream.ts';
import { AttemptDeadlines, type Frame } from '../../../shared/src/attempt.ts';
import type { ErrorCode } from '../../../shared/src/errors.ts';
import { ERRORS } from '../../../shared/src/errors.ts';
import type { NodeSnapshot } from '../../../shared/src/node.ts';
import type { ProcessClock } from '../timeline.ts';
import type { ToReplica, Wire } from './wire.ts';

/** As nodes/node-session.ts. */
const SETTLE_LIMIT_MS = 5_000;
const DEADLINE_GRACE_MS = 2_000;

interface Stream {
  readonly attemptId: string;
  readonly frames: FrameStream;
  readonly settle: (outcome: Outcome) => void;
  readonly totalLimitMs: number;
  readonly onAccepted: () => void;
  reach: Reach;
  cancelTimer: () => void;
}

export interface SessionEvents {
  snapshot(snapshot: NodeSnapshot): void;
  liveness(liveness: Liveness): void;
  closed(): void;
  /** The node would not understand what was sent to it. */
  unreadable(what: string): void;
}

/** What nodes/node-session.ts does, on virtual time and a simulated wire: same limits, same endings. */
export class SimulatedSession {
  readonly nodeId: string;
  readonly epoch: number;
  readonly instanceId: string;
  readonly #wire: Wire;
  readonly #clock: ProcessClock;
  readonly #events: SessionEvents;
  readonly #streams = new Map<string, Stream>();
  readonly #commands = new Map<string, RunningCommand>();
  #lastCommand = 0;
  #isOpen = true;
  #liveness: Liveness = 'alive';
  readonly #pulse: Pulse;
  #cancelPing = () => {};

  constructor(options: {
    nodeId: string;
    epoch: number;
    instanceId: string;
    wire: Wire;
    clock: ProcessClock;
    events: SessionEvents;
  }) {
    this.nodeId = options.nodeId;
    this.epoch = options.epoch;
    this.instanceId = options.instanceId;
    this.#wire = options.wire;
    this.#clock = options.clock;
    this.#events = options.events;
    const nowMs = () => this.#clock.nowMs();
    this.#pulse = new Pulse({ monotonicMs: nowMs, wallMs: nowMs });
    this.#schedulePing(PING_IDLE_MS);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get inFlight(): number {
    return this.#streams.size;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#wire.closeReplica();
    this.#lost();
  }

  /** Its process has died; the kernel closes the connection, and nobody here hears of it. */
  vanish(): void {
    this.#isOpen = false;
    this.#wire.closeReplica(5);
  }

  startAttempt(request: AttemptRequest, onAccepted: () => void = () => {}): RunningAttempt {
    const { attemptId } = request;
    const { promise: settled, resolve: settle } = Promise.withResolvers<Outcome>();
    const frames = new FrameStream({ onAbandon: () => this.#cancel(stream) });
    const stream: Stream = {
      attemptId,
      frames,
      settle,
      totalLimitMs: request.deadlines.totalMs + DEADLINE_GRACE_MS,
      onAccepted,
      reach: 'wire',
      cancelTimer: () => {},
    };
    const running = { frames, settled, reach: () => stream.reach };
    if (!this.#isOpen) {
      stream.reach = 'nowhere';
      frames.push(failure('node_lost'));
      settle('node_lost');
      return running;
    }
    stream.cancelTimer = this.#clock.after(request.acceptMs, () => this.#giveUp(stream, 'accept_timeout'));
    this.#streams.set(attemptId, stream);
    // What the agent cannot read it drops.
    if (AttemptDeadlines.safeParse(request.deadlines).success) this.#wire.toNode({ type: 'attempt.start', request });
    else this.#events.unreadable(`deadlines ${JSON.stringify(request.deadlines)}`);
    if (this.#streams.size === 1) this.#schedulePing(0);
    return running;
  }

  async loadModel(model: string, _isForced = false): Promise<LoadOutcome> {
    this.#lastCommand += 1;
    return loadOutcome(await this.command({ type: 'model.load', model }, `${this.epoch}-${this.#lastCommand}`).ending());
  }

  /** Loads are all that is asked for here. */
  command(request: CommandRequest, commandId: string): RunningCommand {
    const { type } = request;
    const command = new RunningCommand({ commandId, type, onCancel: () => {}, onEnd: () => this.#commands.delete(commandId) });
    if (!this.#isOpen) {
      command.take(LOST);
      return command;
    }
    this.#commands.set(commandId, command);
    if (type === 'model.load') this.#wire.toNode({ type, commandId, model: request.model });
    return command;
  }

  cancelCommand(_commandId: string): void {}

  receive(message: ToReplica): void {
    switch (message.type) {
      case 'node.status':
        this.#events.snapshot(message.snapshot);
        return;
      case 'attempt.accept': {
        const stream = this.#streams.get(message.attemptId);
        if (!stream) return;
        stream.reach = 'node';
        stream.onAccepted();
        stream.cancelTimer();
        stream.cancelTimer = this.#clock.after(stream.totalLimitMs, () => this.#giveUp(stream, 'deadline_exceeded'));
        return;
      }
      case 'attempt.chunk':
        this.#streams.get(message.attemptId)?.frames.push({ kind: 'chunk', chunk: message.chunk, bytes: message.bytes });
        return;
      case 'attempt.end':
        this.#end(message.attemptId, {
          kind: 'end',
          finishReason: 'stop',
          usage: message.usage,
          timings: message.timings,
        });
        return;
      case 'attempt.fail':
        this.#end(message.attemptId, failure(message.code));
        return;
      case 'command.result':
        this.#commands
          .get(message.commandId)
          ?.take(message.code === null ? DONE : { kind: 'failed', code: message.code, detail: null });
        return;
      case 'pong':
        this.#pulse.answered();
        this.#become('alive');
        return;
      case 'close':
        this.close();
    }
  }

  #end(attemptId: string, frame: Exclude<Frame, { kind: 'chunk' }>): void {
    const stream = this.#streams.get(attemptId);
    if (!stream) return;
    this.#streams.delete(attemptId);
    stream.cancelTimer();
    stream.frames.push(frame);
    stream.settle(frame.kind === 'end' ? 'end' : frame.code);
  }

  #giveUp(stream: Stream, code: ErrorCode): void {
    stream.frames.push(failure(code));
    this.#cancel(stream);
  }

  #cancel(stream: Stream): void {
    if (!this.#streams.has(stream.attemptId)) return;
    this.#wire.toNode({ type: 'attempt.cancel', attemptId: stream.attemptId });
    stream.cancelTimer();
    stream.cancelTimer = this.#clock.after(SETTLE_LIMIT_MS, () => this.#end(stream.attemptId, failure('canceled')));
  }

  #lost(): void {
    this.#isOpen = false;
    this.#cancelPing();
    this.#liveness = 'dead';
    for (const { attemptId } of [...this.#streams.values()]) this.#end(attemptId, failure('node_lost'));
    for (const command of [...this.#commands.values()]) command.take(LOST);
    this.#events.closed();
  }

  #schedulePing(waitMs: number): void {
    this.#cancelPing();
    this.#pulse.expectIn(waitMs);
    this.#cancelPing = this.#clock.after(waitMs, () => this.#ping());
  }

  #ping(): void {
    const isBusy = this.#streams.size > 0;
    this.#become(this.#pulse.beat(isBusy));
    if (this.#liveness === 'dead') {
      this.close();
      return;
    }
    this.#wire.toNode({ type: 'ping' });
    this.#schedulePing(isBusy ? PING_BUSY_MS : PING_IDLE_MS);
  }

  #become(liveness: Liveness): void {
    if (this.#liveness === liveness) return;
    this.#liveness = liveness;
    this.#events.liveness(liveness);
  }
}

const DONE = { kind: 'done' } as const;
const LOST = { kind: 'failed', code: 'node_lost', detail: null } as const;

const failure = (code: ErrorCode): Extract<Frame, { kind: 'failed' }> => ({
  kind: 'failed',
  code,
  message: ERRORS[code].sentence,
});
