import { AttemptDeadlines, AttemptRoute, FailureCode, type Frame } from '@lai/shared/attempt';
import { ERRORS, type ErrorCode } from '@lai/shared/errors';
import { BODY_PIECE_BYTES, STREAM_WINDOW_BYTES } from '@lai/shared/protocol/codec';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { AttemptRequest, NodeSession, Outcome, Reach, RunningAttempt } from '../nodes/node-session.ts';
import type { NodeRecord } from '../nodes/registry.ts';
import { FrameStream } from '../streams/frame-stream.ts';
import type { DataItem, Item } from './envelope.ts';
import type { Replicas } from './replicas.ts';

/** A replica that does not answer so many of them, a second apart, is not there, or one of us is deaf. */
export const CHECKS = 4;

const stream = z.number().int();
const Ending = z.union([z.literal('end'), FailureCode]);
const Seen = z.object({ stream, returnedBytes: z.number(), isWanted: z.boolean() });
type Seen = z.infer<typeof Seen>;
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
    acceptMs: z.number().default(750),
    isForced: z.literal(true).optional(),
  }),
  z.object({ type: z.literal('attempt.cancel'), stream }),
  z.object({ type: z.literal('attempt.credit'), stream, bytes: z.number() }),
  z.object({ type: z.literal('attempt.accepted'), stream }),
  z.object({
    type: z.literal('attempt.last'),
    stream,
    sequence: z.number(),
    frame: LastFrame,
    wasSent: z.boolean().default(true),
  }),
  z.object({ type: z.literal('attempt.settled'), stream, outcome: Ending.optional() }),
  // What follows repeats as levels what was said above as edges; see `#compare`.
  z.object({
    type: z.literal('streams.check'),
    streams: z.array(Seen),
  }),
  z.object({
    type: z.literal('streams.known'),
    streams: z.array(
      z.object({ stream, sequence: z.number().nullable(), isOver: z.boolean(), isAccepted: z.boolean().default(false) }),
    ),
  }),
  z.object({ type: z.literal('streams.running'), streams: z.array(stream) }),
]);
export type RelayMessage = z.infer<typeof RelayMessage>;

/** What an attempt has of its node: its lease. */
type Slot = Pick<AttemptRequest, 'model'> & { readonly id: string; readonly nodeId: string; readonly epoch: number };

/** An attempt of ours on another replica's node. */
interface Outgoing {
  readonly replicaId: string;
  readonly frames: FrameStream;
  readonly settle: (outcome: Outcome) => void;
  nextSequence: number;
  /** All that was read, and what of it the owner has been told at once. */
  readBytes: number;
  returnedBytes: number;
  isWanted: boolean;
  reach: Reach;
  /** Its last frame has come; its slot is not free yet. */
  isOver: boolean;
  /** Times it was asked for in vain. */
  unanswered: number;
}

/** An attempt of another replica on a node of ours. */
interface Incoming {
  readonly origin: string;
  readonly body: Buffer[];
  readonly start: Extract<RelayMessage, { type: 'attempt.start' }>;
  running: RunningAttempt | null;
  sequence: number;
  sentBytes: number;
  returnedBytes: number;
  wake: (() => void) | null;
  isCanceled: boolean;
  /** Its last frame has been sent. */
  isOver: boolean;
}

/**
 * Attempts across replicas, in the same frames as everywhere. Pub/sub may lose anything, but keeps the order: pieces are numbered, and
 * `#compare` tells again what the other side should know. A gap ends the stream as lost instead of joining what does not belong together.
 * Single writer of its streams.
 */
export class Relay {
  readonly #replicas: Replicas;
  readonly #session: (nodeId: string) => NodeSession | undefined;
  readonly #release: (slot: Slot) => void;
  readonly #log: Logger;
  readonly #outgoing = new Map<number, Outgoing>();
  readonly #incoming = new Map<string, Incoming>();
  #lastStream = 0;

  constructor(options: {
    replicas: Replicas;
    session: (nodeId: string) => NodeSession | undefined;
    release: (slot: Slot) => void;
    log: Logger;
  }) {
    this.#replicas = options.replicas;
    this.#session = options.session;
    this.#release = options.release;
    this.#log = options.log;
    this.#replicas.onBeat(() => this.#compare());
  }

  /** Attempts of others on nodes of ours. */
  get carried(): number {
    return this.#incoming.size;
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

  /**
   * Once a second. The origin tells what it still wants and has read, and the owner answers what has become of it; the owner tells what
   * runs, and the origin cancels what it knows nothing of. Whatever was lost is noticed by this.
   */
  #compare(): void {
    for (const [id, outgoing] of this.#outgoing) {
      outgoing.unanswered += 1;
      if (outgoing.unanswered > CHECKS) this.#endOutgoing(id, failure('node_lost'));
    }
    for (const [replicaId, outgoing] of Map.groupBy(this.#outgoing, ([, { replicaId }]) => replicaId)) {
      const streams = outgoing.map(([id, { readBytes, isWanted }]) => ({ stream: id, returnedBytes: readBytes, isWanted }));
      for (const [, each] of outgoing) each.returnedBytes = each.readBytes;
      this.#say(replicaId, { type: 'streams.check', streams });
    }
    for (const [origin, incoming] of Map.groupBy(this.#incoming.values(), (each) => each.origin))
      this.#say(origin, { type: 'streams.running', streams: incoming.map(({ start }) => start.stream) });
  }

  /** Its clients and its nodes went with it. */
  replicaGone(replicaId: string): void {
    for (const [id, outgoing] of this.#outgoing)
      if (outgoing.replicaId === replicaId) this.#endOutgoing(id, failure('node_lost'));
    for (const [key, incoming] of this.#incoming) {
      if (incoming.origin !== replicaId) continue;
      this.#cancelIncoming(incoming);
      if (!incoming.running) this.#incoming.delete(key);
    }
  }

  // Origin

  #startRemote(replicaId: string, { nodeId, epoch }: { nodeId: string; epoch: number }, request: AttemptRequest): RunningAttempt {
    const id = this.#nextStream();
    const { promise: settled, resolve: settle } = Promise.withResolvers<Outcome>();
    const outgoing: Outgoing = {
      replicaId,
      settle,
      nextSequence: 0,
      readBytes: 0,
      returnedBytes: 0,
      isWanted: true,
      reach: 'wire',
      isOver: false,
      unanswered: 0,
      frames: new FrameStream({
        onRead: (bytes) => this.#returnCredit(id, outgoing, bytes),
        onAbandon: () => {
          outgoing.isWanted = false;
          this.#say(replicaId, { type: 'attempt.cancel', stream: id });
        },
      }),
    };
    this.#outgoing.set(id, outgoing);
    const { body, ...start } = request;
    this.#say(replicaId, { type: 'attempt.start', stream: id, nodeId, epoch, ...start });
    for (let at = 0; at < body.length || at === 0; at += BODY_PIECE_BYTES) {
      const bytes = body.subarray(at, at + BODY_PIECE_BYTES);
      const kind = at + BODY_PIECE_BYTES >= body.length ? 'body-end' : 'body';
      this.#replicas.send(replicaId, { kind, stream: id, sequence: at / BODY_PIECE_BYTES, bytes });
    }
    return { frames: outgoing.frames, settled, reach: () => outgoing.reach };
  }

  #takeChunk({ kind, stream: id, sequence, bytes }: DataItem): void {
    const outgoing = this.#outgoing.get(id);
    if (!outgoing || kind === 'body' || kind === 'body-end') return;
    if (sequence !== outgoing.nextSequence) {
      this.#gap(id, outgoing);
      return;
    }
    outgoing.nextSequence += 1;
    outgoing.frames.push({ kind: 'chunk', chunk: kind, bytes });
  }

  #gap(id: number, { replicaId }: Outgoing): void {
    this.#log.warn({ stream: id, replicaId }, 'a piece of an answer was lost between replicas');
    this.#say(replicaId, { type: 'attempt.cancel', stream: id });
    this.#endOutgoing(id, failure('node_lost'));
  }

  /** The last frame is ignored when one has come already. */
  #endOutgoing(id: number, last: Extract<Frame, { kind: 'failed' }>, outcome: Outcome = last.code): void {
    const outgoing = this.#outgoing.get(id);
    this.#outgoing.delete(id);
    outgoing?.frames.push(last);
    outgoing?.settle(outcome);
  }

  #returnCredit(id: number, outgoing: Outgoing, bytes: number): void {
    outgoing.readBytes += bytes;
    const unreturned = outgoing.readBytes - outgoing.returnedBytes;
    if (unreturned < STREAM_WINDOW_BYTES / 2) return;
    this.#say(outgoing.replicaId, { type: 'attempt.credit', stream: id, bytes: unreturned });
    outgoing.returnedBytes = outgoing.readBytes;
  }

  /** What the owner knows of our streams; it had everything that we said before we asked. */
  #hearKnown(streams: Extract<RelayMessage, { type: 'streams.known' }>['streams']): void {
    for (const { stream: id, sequence, isOver, isAccepted } of streams) {
      const outgoing = this.#outgoing.get(id);
      if (!outgoing) continue;
      outgoing.unanswered = 0;
      if (isAccepted) outgoing.reach = 'node';
      if (sequence === null) this.#endOutgoing(id, failure('node_lost'));
      else if (!outgoing.isOver && (sequence !== outgoing.nextSequence || isOver)) this.#gap(id, outgoing);
    }
  }

  // Both ways

  #obey(sender: string, message: RelayMessage): void {
    switch (message.type) {
      case 'attempt.start':
        this.#incoming.set(keyOf(sender, message.stream), newIncoming(sender, message));
        return;
      case 'attempt.cancel': {
        const incoming = this.#incoming.get(keyOf(sender, message.stream));
        if (incoming) this.#cancelIncoming(incoming);
        return;
      }
      case 'attempt.credit': {
        const incoming = this.#incoming.get(keyOf(sender, message.stream));
        if (incoming) credit(incoming, incoming.returnedBytes + message.bytes);
        return;
      }
      case 'attempt.accepted': {
        const outgoing = this.#outgoing.get(message.stream);
        if (outgoing) outgoing.reach = 'node';
        return;
      }
      case 'attempt.last': {
        const outgoing = this.#outgoing.get(message.stream);
        if (!outgoing) return;
        outgoing.isOver = true;
        if (!message.wasSent) outgoing.reach = 'nowhere';
        const isWhole = outgoing.nextSequence === message.sequence;
        outgoing.frames.push(isWhole ? (message.frame as Frame) : failure('node_lost'));
        return;
      }
      case 'attempt.settled':
        this.#endOutgoing(message.stream, failure('node_lost'), message.outcome ?? 'canceled');
        return;
      case 'streams.check':
        this.#say(sender, { type: 'streams.known', streams: message.streams.map((seen) => this.#knownOf(sender, seen)) });
        return;
      case 'streams.known':
        this.#hearKnown(message.streams);
        return;
      case 'streams.running':
        for (const id of message.streams) if (!this.#outgoing.has(id)) this.#say(sender, { type: 'attempt.cancel', stream: id });
    }
  }

  // Owner

  #knownOf(origin: string, { stream: id, returnedBytes, isWanted }: Seen) {
    const incoming = this.#incoming.get(keyOf(origin, id));
    // Its body was sent before it was asked for: what has not begun by now never will.
    if (incoming && !incoming.running) this.#incoming.delete(keyOf(origin, id));
    if (!incoming?.running) return { stream: id, sequence: null, isOver: true, isAccepted: false };
    if (!isWanted) this.#cancelIncoming(incoming);
    credit(incoming, returnedBytes);
    const isAccepted = incoming.running.reach() === 'node';
    return { stream: id, sequence: incoming.sequence, isOver: incoming.isOver, isAccepted };
  }

  #takeBody(sender: string, item: DataItem): void {
    const incoming = this.#incoming.get(keyOf(sender, item.stream));
    if (!incoming || incoming.running || incoming.body.length !== item.sequence) return; // a piece was lost; see #knownOf
    incoming.body.push(Buffer.from(item.bytes));
    if (item.kind === 'body-end') void this.#runFor(sender, incoming);
  }

  async #runFor(origin: string, incoming: Incoming): Promise<void> {
    const { type: _said, stream: id, nodeId, epoch, ...request } = incoming.start;
    const session = this.#session(nodeId);
    let outcome: Outcome = 'node_lost';
    try {
      if (session?.epoch !== epoch || incoming.isCanceled) {
        this.#say(origin, { type: 'attempt.last', stream: id, sequence: 0, frame: failure('node_lost'), wasSent: false });
        return;
      }
      const running = session.startAttempt({ ...request, body: Buffer.concat(incoming.body.splice(0)) }, () =>
        this.#say(origin, { type: 'attempt.accepted', stream: id }),
      );
      incoming.running = running;
      for await (const frame of running.frames) {
        if (frame.kind !== 'chunk') {
          incoming.isOver = true;
          const wasSent = running.reach() !== 'nowhere';
          this.#say(origin, { type: 'attempt.last', stream: id, sequence: incoming.sequence, frame: { ...frame }, wasSent });
          break;
        }
        this.#replicas.send(origin, { kind: frame.chunk, stream: id, sequence: incoming.sequence, bytes: frame.bytes });
        incoming.sequence += 1;
        incoming.sentBytes += frame.bytes.length;
        while (incoming.sentBytes - incoming.returnedBytes >= STREAM_WINDOW_BYTES && !incoming.isCanceled)
          await new Promise<void>((resolve) => {
            incoming.wake = resolve;
          });
      }
      outcome = await running.settled;
    } finally {
      this.#incoming.delete(keyOf(origin, id));
      this.#say(origin, { type: 'attempt.settled', stream: id, outcome });
      // The origin does so, too, unless it is gone, which nobody may know yet.
      this.#release({ id: request.attemptId, nodeId, epoch, model: request.model });
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

const keyOf = (origin: string, id: number): string => `${origin}\n${id}`;

const newIncoming = (origin: string, start: Incoming['start']): Incoming => ({
  ...{ origin, start, body: [], running: null, wake: null },
  ...{ sequence: 0, sentBytes: 0, returnedBytes: 0, isCanceled: false, isOver: false },
});

const credit = (incoming: Incoming, returnedBytes: number): void => {
  incoming.returnedBytes = Math.max(incoming.returnedBytes, returnedBytes);
  incoming.wake?.();
};

const failure = (code: ErrorCode): Extract<Frame, { kind: 'failed' }> => ({
  kind: 'failed',
  code,
  message: ERRORS[code].sentence,
});
