import { AttemptDeadlines, AttemptRoute, FailureCode, type Frame } from '@lai/shared/attempt';
import { ERRORS, type ErrorCode } from '@lai/shared/errors';
import { BODY_PIECE_BYTES, STREAM_WINDOW_BYTES } from '@lai/shared/protocol/codec';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { AttemptRequest, NodeSession, RunningAttempt } from '../nodes/node-session.ts';
import type { NodeRecord } from '../nodes/registry.ts';
import { FrameStream } from '../streams/frame-stream.ts';
import type { DataItem, Item } from './envelope.ts';
import type { Replicas } from './replicas.ts';

const stream = z.number().int();
const LastFrame = z.union([
  z.looseObject({ kind: z.literal('end') }),
  z.looseObject({ kind: z.literal('failed'), code: FailureCode, message: z.string() }),
]);

/** Between the replica that holds the client (origin) and the one that holds the node's socket (owner). */
export const RelayMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('attempt.start'),
    stream,
    nodeId: z.string(),
    epoch: z.number(),
    attemptId: z.string(),
    requestId: z.string(),
    route: AttemptRoute,
    model: z.string(),
    deadlines: AttemptDeadlines,
  }),
  z.object({ type: z.literal('attempt.cancel'), stream }),
  z.object({ type: z.literal('attempt.credit'), stream, bytes: z.number() }),
  z.object({ type: z.literal('attempt.last'), stream, sequence: z.number(), frame: LastFrame }),
  z.object({ type: z.literal('attempt.settled'), stream }),
]);
export type RelayMessage = z.infer<typeof RelayMessage>;

/** An attempt of ours on another replica's node. */
interface Outgoing {
  readonly replicaId: string;
  readonly frames: FrameStream;
  readonly settle: () => void;
  nextSequence: number;
  unreturnedCredit: number;
}

/** An attempt of another replica on a node of ours. */
interface Incoming {
  readonly body: Buffer[];
  readonly start: Extract<RelayMessage, { type: 'attempt.start' }>;
  running: RunningAttempt | null;
  sequence: number;
  credit: number;
  wake: (() => void) | null;
  isCanceled: boolean;
}

/**
 * Attempts across replicas, in the same frames as everywhere. Pieces are numbered: a gap (pub/sub lost something) ends the
 * stream as lost instead of joining what does not belong together. Single writer of its streams.
 */
export class Relay {
  readonly #replicas: Replicas;
  readonly #session: (nodeId: string) => NodeSession | undefined;
  readonly #log: Logger;
  readonly #outgoing = new Map<number, Outgoing>();
  readonly #incoming = new Map<string, Incoming>();
  #lastStream = 0;

  constructor(options: { replicas: Replicas; session: (nodeId: string) => NodeSession | undefined; log: Logger }) {
    this.#replicas = options.replicas;
    this.#session = options.session;
    this.#log = options.log;
  }

  /** The way to a node whose socket another replica holds. */
  link({ nodeId, epoch, instanceId, replicaId }: NodeRecord) {
    return {
      epoch,
      instanceId,
      startAttempt: (request: AttemptRequest) => this.#startRemote(replicaId, { nodeId, epoch }, request),
    };
  }

  /** True when the item was for us. */
  take(sender: string, item: Item): boolean {
    if (item.kind === 'body' || item.kind === 'body-end') {
      this.#takeBody(sender, item);
      return true;
    }
    if (item.kind !== 'message') {
      this.#takeChunk(item);
      return true;
    }
    const parsed = RelayMessage.safeParse(item.message);
    if (!parsed.success) return false;
    this.#obey(sender, parsed.data);
    return true;
  }

  /** Its clients and its nodes went with it. */
  replicaGone(replicaId: string): void {
    for (const [id, outgoing] of this.#outgoing)
      if (outgoing.replicaId === replicaId) this.#endOutgoing(id, failure('node_lost'));
    for (const [key, incoming] of this.#incoming) if (key.startsWith(`${replicaId}\n`)) this.#cancelIncoming(incoming);
  }

  // Origin

  #startRemote(replicaId: string, { nodeId, epoch }: { nodeId: string; epoch: number }, request: AttemptRequest): RunningAttempt {
    const id = this.#nextStream();
    const { promise: settled, resolve: settle } = Promise.withResolvers<void>();
    const outgoing: Outgoing = {
      replicaId,
      settle,
      nextSequence: 0,
      unreturnedCredit: 0,
      frames: new FrameStream({
        onRead: (bytes) => this.#returnCredit(id, outgoing, bytes),
        onAbandon: () => this.#say(replicaId, { type: 'attempt.cancel', stream: id }),
      }),
    };
    this.#outgoing.set(id, outgoing);
    const { body, ...start } = request;
    this.#say(replicaId, { type: 'attempt.start', stream: id, nodeId, epoch, ...start });
    for (let at = 0; at < body.length || at === 0; at += BODY_PIECE_BYTES) {
      const isLast = at + BODY_PIECE_BYTES >= body.length;
      this.#replicas.send(replicaId, {
        kind: isLast ? 'body-end' : 'body',
        stream: id,
        sequence: 0,
        bytes: body.subarray(at, at + BODY_PIECE_BYTES),
      });
    }
    return { frames: outgoing.frames, settled };
  }

  #takeChunk({ kind, stream: id, sequence, bytes }: DataItem): void {
    const outgoing = this.#outgoing.get(id);
    if (!outgoing || kind === 'body' || kind === 'body-end') return;
    if (sequence !== outgoing.nextSequence) {
      this.#log.warn({ stream: id }, 'a piece of an answer was lost between replicas');
      this.#say(outgoing.replicaId, { type: 'attempt.cancel', stream: id });
      this.#endOutgoing(id, failure('node_lost'));
      return;
    }
    outgoing.nextSequence += 1;
    outgoing.frames.push({ kind: 'chunk', chunk: kind, bytes });
  }

  #endOutgoing(id: number, last: Frame): void {
    const outgoing = this.#outgoing.get(id);
    this.#outgoing.delete(id);
    outgoing?.frames.push(last);
    outgoing?.settle();
  }

  #returnCredit(id: number, outgoing: Outgoing, bytes: number): void {
    outgoing.unreturnedCredit += bytes;
    if (outgoing.unreturnedCredit < STREAM_WINDOW_BYTES / 2) return;
    this.#say(outgoing.replicaId, { type: 'attempt.credit', stream: id, bytes: outgoing.unreturnedCredit });
    outgoing.unreturnedCredit = 0;
  }

  // Both ways

  #obey(sender: string, message: RelayMessage): void {
    const incoming = this.#incoming.get(`${sender}\n${message.stream}`);
    switch (message.type) {
      case 'attempt.start':
        this.#incoming.set(`${sender}\n${message.stream}`, {
          body: [],
          start: message,
          running: null,
          sequence: 0,
          credit: STREAM_WINDOW_BYTES,
          wake: null,
          isCanceled: false,
        });
        return;
      case 'attempt.cancel':
        if (incoming) this.#cancelIncoming(incoming);
        return;
      case 'attempt.credit':
        if (!incoming) return;
        incoming.credit += message.bytes;
        incoming.wake?.();
        return;
      case 'attempt.last': {
        const outgoing = this.#outgoing.get(message.stream);
        const isWhole = outgoing?.nextSequence === message.sequence;
        outgoing?.frames.push(isWhole ? (message.frame as Frame) : failure('node_lost'));
        return;
      }
      case 'attempt.settled':
        this.#endOutgoing(message.stream, failure('node_lost')); // ignored when the last frame has come
        return;
    }
  }

  // Owner

  #takeBody(sender: string, item: DataItem): void {
    const incoming = this.#incoming.get(`${sender}\n${item.stream}`);
    if (!incoming) return;
    incoming.body.push(Buffer.from(item.bytes));
    if (item.kind === 'body-end') void this.#runFor(sender, incoming);
  }

  async #runFor(origin: string, incoming: Incoming): Promise<void> {
    const { start } = incoming;
    const id = start.stream;
    try {
      const session = this.#session(start.nodeId);
      if (session?.epoch !== start.epoch || incoming.isCanceled) {
        this.#say(origin, { type: 'attempt.last', stream: id, sequence: 0, frame: failure('node_lost') });
        return;
      }
      const { attemptId, requestId, route, model, deadlines } = start;
      const running = session.startAttempt({
        attemptId,
        requestId,
        route,
        model,
        deadlines,
        body: Buffer.concat(incoming.body.splice(0)),
      });
      incoming.running = running;
      for await (const frame of running.frames) {
        if (frame.kind !== 'chunk') {
          this.#say(origin, { type: 'attempt.last', stream: id, sequence: incoming.sequence, frame: { ...frame } });
          break;
        }
        this.#replicas.send(origin, { kind: frame.chunk, stream: id, sequence: incoming.sequence, bytes: frame.bytes });
        incoming.sequence += 1;
        incoming.credit -= frame.bytes.length;
        while (incoming.credit <= 0 && !incoming.isCanceled)
          await new Promise<void>((resolve) => {
            incoming.wake = resolve;
          });
      }
      await running.settled;
    } finally {
      this.#incoming.delete(`${origin}\n${id}`);
      this.#say(origin, { type: 'attempt.settled', stream: id });
    }
  }

  #cancelIncoming(incoming: Incoming): void {
    incoming.isCanceled = true;
    incoming.wake?.();
    void incoming.running?.frames.return?.();
  }

  #say(replicaId: string, message: RelayMessage): void {
    this.#replicas.send(replicaId, { kind: 'message', message });
  }

  #nextStream(): number {
    this.#lastStream = (this.#lastStream % 0xfffffffe) + 1;
    return this.#lastStream;
  }
}

const failure = (code: ErrorCode): Extract<Frame, { kind: 'failed' }> => ({
  kind: 'failed',
  code,
  message: ERRORS[code].sentence,
});
