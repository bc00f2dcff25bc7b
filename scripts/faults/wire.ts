import type { AgentMessage } from '../../shared/src/protocol/agent-message.ts';
import { decodeData } from '../../shared/src/protocol/codec.ts';
import type { CoordinatorMessage } from '../../shared/src/protocol/coordinator-message.ts';
import type { Direction, Link, Tap } from './chaos-proxy.ts';
import { FrameReader } from './socket-frames.ts';

/** Prompts of ours begin with this, so that a request is known wherever it shows up: `#r-T1-17#`. */
export const MARKER = /#(r-[A-Za-z0-9-]+)#/;

/** What went over the socket between a coordinator and an agent; times are `performance.now()`, when it passed the proxy. */
export type WireEvent =
  | { readonly kind: 'opened'; readonly link: Link; readonly atMs: number }
  /** The whole body of an attempt has been sent: the node has everything it needs. */
  | {
      readonly kind: 'dispatch';
      readonly link: Link;
      readonly atMs: number;
      readonly attemptId: string;
      readonly requestId: string;
      readonly marker: string | null;
    }
  | { readonly kind: 'coordinator'; readonly link: Link; readonly atMs: number; readonly message: CoordinatorMessage }
  | { readonly kind: 'agent'; readonly link: Link; readonly atMs: number; readonly message: AgentMessage }
  /** `by` is who closed, or broke off, first. */
  | { readonly kind: 'closed'; readonly link: Link; readonly atMs: number; readonly by: 'agent' | 'coordinator' };

interface Reading {
  readonly up: FrameReader;
  readonly down: FrameReader;
  /** By stream number: attempts whose body is under way. */
  readonly starting: Map<number, { readonly attemptId: string; readonly requestId: string; body: string }>;
  isClosed: boolean;
}

/** Understands what passes a proxy between agents (up) and a coordinator (down): dispatches, cancels and endings, as they happen. */
export const readWire = (heard: (event: WireEvent) => void): Tap => {
  const readings = new Map<Link, Reading>();

  const hearCoordinator = (link: Link, reading: Reading, text: string, atMs: number): void => {
    const message = JSON.parse(text) as CoordinatorMessage;
    if (message.type === 'attempt.start')
      reading.starting.set(message.stream, { attemptId: message.attemptId, requestId: message.requestId, body: '' });
    heard({ kind: 'coordinator', link, atMs, message });
  };

  const hearBody = (link: Link, reading: Reading, payload: Buffer, atMs: number): void => {
    const frame = decodeData(payload);
    const start = frame && reading.starting.get(frame.stream);
    if (!start) return;
    start.body += Buffer.from(frame.bytes).toString('latin1');
    if (frame.kind !== 'body-end') return;
    reading.starting.delete(frame.stream);
    const { attemptId, requestId, body } = start;
    heard({ kind: 'dispatch', link, atMs, attemptId, requestId, marker: MARKER.exec(body)?.[1] ?? null });
  };

  const read = (link: Link, direction: Direction, bytes: Buffer, atMs: number): void => {
    const reading = readings.get(link);
    for (const { isBinary, payload } of reading?.[direction].push(bytes) ?? []) {
      if (!reading) return;
      if (direction === 'down' && isBinary) hearBody(link, reading, payload, atMs);
      else if (direction === 'down') hearCoordinator(link, reading, payload.toString(), atMs);
      else if (!isBinary) heard({ kind: 'agent', link, atMs, message: JSON.parse(payload.toString()) as AgentMessage });
    }
  };

  return {
    opened: (link) => {
      readings.set(link, { up: new FrameReader(), down: new FrameReader(), starting: new Map(), isClosed: false });
      heard({ kind: 'opened', link, atMs: link.openedAtMs });
    },
    bytes: read,
    closed: (link, direction, atMs) => {
      const reading = readings.get(link);
      if (!reading || reading.isClosed) return;
      reading.isClosed = true;
      readings.delete(link);
      heard({ kind: 'closed', link, atMs, by: direction === 'up' ? 'agent' : 'coordinator' });
    },
  };
};
