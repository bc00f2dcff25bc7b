import { randomUUID } from 'node:crypto';
import type { AttemptDeadlines, AttemptRoute, ChunkKind, Frame } from '@lai/shared/attempt';
import type { ErrorCode } from '@lai/shared/errors';
import { ERRORS } from '@lai/shared/errors';
import type { NodeSnapshot } from '@lai/shared/node';
import { plainText } from '@lai/shared/plain-text';
import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import {
  type AgentReading,
  BODY_PIECE_BYTES,
  decodeData,
  encodeData,
  encodeMessage,
  isChunkKind,
  readAgentMessage,
  STREAM_WINDOW_BYTES,
} from '@lai/shared/protocol/codec';
import type { CoordinatorMessage } from '@lai/shared/protocol/coordinator-message';
import type { Logger } from 'pino';
import WebSocket from 'ws';
import { FrameStream } from '../streams/frame-stream.ts';
import { AttemptWatch, isBeyondCredit } from './attempt-watch.ts';
import { FloodMeter, type FloodVerdict } from './flood-meter.ts';
import { Heartbeat } from './heartbeat.ts';
import type { Liveness } from './liveness.ts';
import { type CommandEnd, type CommandLink, type CommandRequest, commandFrame, RunningCommand } from './running-command.ts';
import { withTroubles } from './unreadable-node.ts';

/** A deadline that is noticed so much later tells of us: the answer may lie in the socket, unread. */
const LATE_MS = 100;
/** After a cancel the slot counts as taken until the agent says that the engine let go, or for this long. */
const SETTLE_LIMIT_MS = 5_000;
/** Messages that an attempt or a command calls for: its acceptance, its ending, and one more. */
const ANSWERS = 3;
/** How long a node that broke the protocol has to take the reason, before its socket is cut. */
const FAREWELL_MS = 250;
const CREDIT_STEP_BYTES = STREAM_WINDOW_BYTES / 2;
const LOST = { kind: 'failed', code: 'node_lost', detail: null } as const;

export interface AttemptRequest {
  readonly attemptId: string;
  readonly requestId: string;
  readonly route: AttemptRoute;
  readonly model: string;
  readonly body: Uint8Array;
  readonly deadlines: AttemptDeadlines;
  /** It passes the node's gaming hold, if the node's owner allows that. */
  readonly isForced?: true | undefined;
  /** A node that has not even taken the request within this is not waited for. */
  readonly acceptMs: number;
}

/** How an attempt ended. */
export type Outcome = 'end' | ErrorCode;

/** How far a request has come: it was never sent, it was sent, or the node has said that it took it. */
export type Reach = 'nowhere' | 'wire' | 'node';

/** A running attempt: its frames, and the moment its slot is really free, with what the node said last, whoever still reads. */
export interface RunningAttempt {
  readonly frames: AsyncIterableIterator<Frame>;
  readonly settled: Promise<Outcome>;
  /** As far as is known by now. */
  reach(): Reach;
}

/** The connection below the WebSocket, for writing several frames at once. */
export interface Wire {
  cork(): void;
  uncork(): void;
}

export type LoadOutcome = { readonly ok: true } | { readonly ok: false; readonly code: ErrorCode };

export const loadOutcome = (end: CommandEnd): LoadOutcome => (end.kind === 'done' ? { ok: true } : { ok: false, code: end.code });

type LastFrame = Exclude<Frame, { kind: 'chunk' }>;

interface Stream {
  readonly id: number;
  readonly attemptId: string;
  readonly frames: FrameStream;
  readonly settle: (outcome: Outcome) => void;
  readonly acceptMs: number;
  readonly watch: AttemptWatch;
  /** What ends the stream if nothing else does: accept, then the deadlines of `watch`, then settle. */
  timer: NodeJS.Timeout | undefined;
  readonly onAccepted: () => void;
  reach: Reach;
  isCanceled: boolean;
  unreturnedCredit: number;
}

export interface SessionEvents {
  snapshot(snapshot: NodeSnapshot): void;
  /** The node said something about itself that cannot be read: what was known of it is no longer true. */
  unreadable(problem: string): void;
  liveness(liveness: Liveness): void;
  /** The node broke the protocol and is being closed; the reason is a sentence for people. */
  misbehaved(reason: string): void;
  closed(): void;
}

/**
 * One live socket of one node, from welcome to close. Single writer of its streams. When it closes, every stream ends with
 * `failed{node_lost}`; it calls nobody, because whoever needs to know is reading a stream.
 */
export class NodeSession implements CommandLink {
  readonly nodeId: string;
  readonly epoch: number;
  readonly instanceId: string;
  readonly #socket: WebSocket;
  readonly #wire: Wire;
  readonly #events: SessionEvents;
  readonly #log: Logger;
  readonly #streams = new Map<number, Stream>();
  readonly #byAttempt = new Map<string, Stream>();
  readonly #commands = new Map<string, RunningCommand>();
  readonly #heartbeat: Heartbeat;
  readonly #meter = new FloodMeter();
  #lastStream = 0;
  /** Bytes of all streams that no reader has taken. */
  #unreadBytes = 0;
  #isBarred = false;

  constructor(options: {
    nodeId: string;
    epoch: number;
    instanceId: string;
    socket: WebSocket;
    wire: Wire;
    events: SessionEvents;
    log: Logger;
  }) {
    this.nodeId = options.nodeId;
    this.epoch = options.epoch;
    this.instanceId = options.instanceId;
    this.#socket = options.socket;
    this.#wire = options.wire;
    this.#events = options.events;
    this.#log = options.log;
    this.#socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary));
    this.#socket.on('error', (error) => this.#log.debug({ err: error, nodeId: this.nodeId }, 'node socket error'));
    this.#socket.on('close', () => this.#lost());
    this.#heartbeat = new Heartbeat({
      socket: this.#socket,
      isBusy: () => this.#streams.size > 0,
      onChange: (liveness) => this.#became(liveness),
    });
  }

  get liveness(): Liveness {
    return this.#heartbeat.liveness;
  }

  send(message: CoordinatorMessage): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(encodeMessage(message));
  }

  /** Says why and closes; the streams end as lost. */
  close(message?: CoordinatorMessage): void {
    if (message) this.send(message);
    this.#socket.close(1000);
    setTimeout(() => this.#socket.terminate(), 1_000).unref();
  }

  startAttempt(request: AttemptRequest, onAccepted: () => void = () => {}): RunningAttempt {
    this.#lastStream = (this.#lastStream % 0xfffffffe) + 1;
    const id = this.#lastStream;
    const { promise: settled, resolve: settle } = Promise.withResolvers<Outcome>();
    const stream: Stream = {
      id,
      attemptId: request.attemptId,
      frames: new FrameStream({
        onRead: (bytes) => this.#read(stream, bytes),
        onAbandon: () => this.#cancel(stream, 'the client is gone'),
      }),
      settle,
      acceptMs: request.acceptMs,
      watch: new AttemptWatch(request.deadlines),
      timer: undefined,
      onAccepted,
      reach: 'wire',
      isCanceled: false,
      unreturnedCredit: 0,
    };
    const running = { frames: stream.frames, settled, reach: () => stream.reach };
    if (this.#socket.readyState !== WebSocket.OPEN) {
      stream.reach = 'nowhere';
      stream.frames.push(failure('node_lost'));
      settle('node_lost');
      return running;
    }
    this.#streams.set(id, stream);
    this.#byAttempt.set(request.attemptId, stream);
    this.#meter.expect(ANSWERS);
    this.#awaitAccept(stream);
    const { body, acceptMs: _, ...start } = request;
    // One write for both: the second one costs more CPU than what is in it.
    this.#wire.cork();
    this.send({ type: 'attempt.start', ...start, stream: id, bodyBytes: body.length, windowBytes: STREAM_WINDOW_BYTES });
    this.#sendBody(id, body);
    this.#wire.uncork();
    if (this.#streams.size === 1) this.#heartbeat.pingNow();
    return running;
  }

  /** Resolves when the node says that the model is warm or could not be loaded, or is lost. */
  async loadModel(model: string, isForced = false): Promise<LoadOutcome> {
    return loadOutcome(await this.command({ type: 'model.load', model, ...(isForced ? { isForced } : {}) }).ending());
  }

  /** Asks the node to do something with a model; it goes on whoever reads its frames. */
  command(request: CommandRequest, commandId: string = randomUUID()): RunningCommand {
    const command = new RunningCommand({
      commandId,
      type: request.type,
      onCancel: () => this.cancelCommand(commandId),
      onEnd: () => this.#commands.delete(commandId),
    });
    if (this.#socket.readyState !== WebSocket.OPEN) {
      command.take(LOST);
      return command;
    }
    this.#commands.set(commandId, command);
    this.#meter.expect(ANSWERS);
    this.send({ ...request, commandId });
    return command;
  }

  cancelCommand(commandId: string): void {
    this.send({ type: 'model.cancel', commandId });
  }

  #sendBody(id: number, body: Uint8Array): void {
    for (let at = 0; at < body.length || at === 0; at += BODY_PIECE_BYTES) {
      const isLast = at + BODY_PIECE_BYTES >= body.length;
      this.#socket.send(encodeData(isLast ? 'body-end' : 'body', id, body.subarray(at, at + BODY_PIECE_BYTES)));
    }
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#isBarred) return;
    this.#heartbeat.heard();
    if (!this.#allows(isBinary ? 'data' : 'control', data.length)) return;
    if (isBinary) {
      const frame = decodeData(data);
      if (frame && isChunkKind(frame.kind)) this.#takeChunk(frame.stream, frame.kind, frame.bytes);
      return;
    }
    const reading = readAgentMessage(data.toString());
    if (reading.kind === 'read') this.#take(reading.message, reading.leftOut);
    else if (reading.kind === 'unreadable') this.#takeUnreadable(reading);
    else this.#log.debug({ nodeId: this.nodeId, type: reading.type }, 'message of an unknown type dropped');
  }

  #takeChunk(id: number, chunk: ChunkKind, bytes: Uint8Array): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    if (stream.watch.received(bytes.length, chunk === 'content', performance.now())) this.#awaitNext(stream);
    this.#unreadBytes += bytes.length;
    stream.frames.push({ kind: 'chunk', chunk, bytes });
    const unread = { ofStream: stream.watch.unreadBytes, ofNode: this.#unreadBytes, streams: this.#streams.size };
    if (isBeyondCredit(unread))
      this.#misbehaved(`sent ${Math.ceil(unread.ofNode / 1024)} KiB that nobody had given it credit for`);
  }

  /** False when the frame is the one too many. */
  #allows(kind: 'control' | 'status' | 'data', bytes: number): boolean {
    const verdict: FloodVerdict = this.#meter.take({ kind, bytes }, this.#streams.size, performance.now());
    if (verdict.kind === 'flood') this.#misbehaved('sent more messages than allowed for ten seconds in a row');
    if (verdict.kind === 'slow' && !this.#socket.isPaused) {
      this.#socket.pause();
      setTimeout(() => this.#socket.resume(), verdict.waitMs).unref();
    }
    return verdict.kind !== 'flood';
  }

  /** Every stream ends here and now: what this node does is no reason to suspect the requests that were on it. */
  #misbehaved(reason: string): void {
    if (this.#isBarred) return;
    this.#isBarred = true;
    for (const stream of [...this.#streams.values()]) this.#end(stream.attemptId, failure('engine_error'));
    this.#events.misbehaved(reason);
    this.send({ type: 'node.reject', reason: 'bad_message', message: `This node ${reason}.`, isFinal: false });
    this.#socket.resume();
    this.#socket.close(1_008, 'protocol broken');
    setTimeout(() => this.#socket.terminate(), FAREWELL_MS).unref();
  }

  /** Nobody must wait for what such a message would have said. */
  #takeUnreadable({ problem, type, attemptId, commandId }: Extract<AgentReading, { kind: 'unreadable' }>): void {
    this.#log.warn({ nodeId: this.nodeId, type, attemptId, commandId, problem }, 'message of a node cannot be read');
    const isEnd = type === 'attempt.end' || type === 'attempt.fail';
    if (isEnd && attemptId !== null) this.#end(attemptId, failure('internal_error'));
    else if (type === 'command.result' && commandId !== null)
      this.#commands.get(commandId)?.take({ kind: 'failed', code: 'internal_error', detail: problem });
    else if (type === null || isEnd || type === 'command.result')
      this.#misbehaved('sent a message that cannot be read, so that nobody knows whose end it was');
    else if (type === 'node.status') this.#events.unreadable(problem);
  }

  #take(message: AgentMessage, leftOut: readonly string[]): void {
    if (leftOut.length > 0)
      this.#log.warn({ nodeId: this.nodeId, type: message.type, leftOut }, 'message of a node read in part');
    switch (message.type) {
      case 'node.status':
        if (this.#allows('status', 0)) this.#events.snapshot(withTroubles(message.snapshot, leftOut));
        return;
      case 'attempt.accept': {
        const stream = this.#byAttempt.get(message.attemptId);
        if (!stream) return;
        // Said again, it must not begin the deadlines anew.
        if (stream.reach === 'node') return;
        stream.reach = 'node';
        stream.onAccepted();
        stream.watch.accepted(performance.now());
        this.#awaitNext(stream);
        return;
      }
      case 'attempt.end': {
        const { finishReason, usage, timings } = message;
        this.#end(message.attemptId, { kind: 'end', finishReason, usage, timings });
        return;
      }
      case 'attempt.fail': {
        const { code, detail, usage, explanation } = message;
        this.#end(message.attemptId, {
          ...failure(code, explanation === undefined ? undefined : plainText(explanation)),
          ...(detail === undefined ? {} : { detail: plainText(detail) }),
          usage: usage ?? null,
        });
        return;
      }
      case 'command.progress':
      case 'command.result':
        this.#commands.get(message.commandId)?.take(commandFrame(message));
        return;
      default:
        this.#log.debug({ nodeId: this.nodeId, type: message.type }, 'message has no meaning here');
    }
  }

  #awaitAccept(stream: Stream): void {
    const dueAtMs = performance.now() + stream.acceptMs;
    stream.timer = setTimeout(() => {
      // Neither is what still waits for a slow line to take it: it has not been asked yet.
      if (performance.now() - dueAtMs >= LATE_MS || this.#socket.bufferedAmount > 0) this.#awaitAccept(stream);
      else this.#giveUp(stream, 'accept_timeout');
    }, stream.acceptMs);
  }

  /** Looks again when something is due; what came meanwhile may have moved that. Nothing is before the acceptance and after a cancel. */
  #awaitNext(stream: Stream): void {
    if (stream.reach !== 'node' || stream.isCanceled) return;
    clearTimeout(stream.timer);
    const wakeAtMs = Math.max(stream.watch.due().atMs, performance.now() + LATE_MS);
    stream.timer = setTimeout(() => {
      const nowMs = performance.now();
      if (this.#socket.bufferedAmount > 0) stream.watch.stillSending(nowMs);
      const { atMs, code } = stream.watch.due();
      if (atMs <= nowMs && nowMs - wakeAtMs < LATE_MS) this.#giveUp(stream, code);
      else this.#awaitNext(stream);
    }, wakeAtMs - performance.now());
  }

  #end(attemptId: string, frame: LastFrame): void {
    const stream = this.#byAttempt.get(attemptId);
    if (!stream) return;
    this.#forget(stream);
    stream.frames.push(frame);
    stream.settle(frame.kind === 'end' ? 'end' : frame.code);
  }

  /** Ends the stream for its reader now; the slot stays taken until the agent has let go. */
  #giveUp(stream: Stream, code: ErrorCode): void {
    stream.frames.push(failure(code));
    this.#cancel(stream, code);
  }

  #cancel(stream: Stream, reason: string): void {
    if (!this.#streams.has(stream.id)) return;
    stream.isCanceled = true;
    this.send({ type: 'attempt.cancel', attemptId: stream.attemptId, reason });
    clearTimeout(stream.timer);
    stream.timer = setTimeout(() => this.#end(stream.attemptId, failure('canceled')), SETTLE_LIMIT_MS);
  }

  #forget(stream: Stream): void {
    this.#streams.delete(stream.id);
    this.#byAttempt.delete(stream.attemptId);
    this.#unreadBytes -= stream.watch.unreadBytes;
    clearTimeout(stream.timer);
  }

  #read(stream: Stream, bytes: number): void {
    if (!this.#streams.has(stream.id)) return;
    stream.watch.read(bytes);
    this.#unreadBytes -= bytes;
    stream.unreturnedCredit += bytes;
    if (stream.unreturnedCredit < CREDIT_STEP_BYTES) return;
    this.send({ type: 'attempt.credit', stream: stream.id, bytes: stream.unreturnedCredit });
    stream.watch.granted(stream.unreturnedCredit, performance.now());
    stream.unreturnedCredit = 0;
    this.#awaitNext(stream);
  }

  #lost(): void {
    this.#heartbeat.stop();
    for (const stream of [...this.#streams.values()]) this.#end(stream.attemptId, failure('node_lost'));
    for (const command of [...this.#commands.values()]) command.take(LOST);
    this.#events.closed();
  }

  #became(liveness: Liveness): void {
    this.#events.liveness(liveness);
    if (liveness !== 'dead') return;
    this.#log.warn({ nodeId: this.nodeId }, 'node does not answer pings; dropping its connection');
    this.#socket.terminate();
  }
}

const failure = (code: ErrorCode, explanation?: string): Extract<Frame, { kind: 'failed' }> => ({
  kind: 'failed',
  code,
  message: explanation ? `${ERRORS[code].sentence} ${explanation}` : ERRORS[code].sentence,
});
