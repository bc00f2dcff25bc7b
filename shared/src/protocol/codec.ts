import type { z } from 'zod';
import type { ChunkKind } from '../attempt.ts';
import { AgentMessage } from './agent-message.ts';
import { CoordinatorMessage } from './coordinator-message.ts';
import { readForgivingly } from './forgiving.ts';

/**
 * Two kinds of WebSocket frames. Text: one JSON control message. Binary: five bytes of header, then raw bytes,
 *
 *   [kind: u8][stream: u32 big-endian][bytes …]
 *
 * Up (agent → coordinator): the runtime's own event bytes, whole events, not re-encoded. Down: the request body, cut into pieces.
 */
const HEADER_BYTES = 5;

/** A piece of body; stays below the 1 MiB frame limit of the agent's socket. */
export const BODY_PIECE_BYTES = 256 * 1024;

/** A snapshot is no longer than this; well below the frame limit of the coordinator's socket. */
export const STATUS_LIMIT_BYTES = 512 * 1024;

/** Credit an attempt starts with: what a slow client may leave unread in the coordinator before its node pauses. */
export const STREAM_WINDOW_BYTES = 256 * 1024;

/** No event of an engine is longer: one that never ends would fill the agent's memory. An agent sends an event whole, credit or not. */
export const MAX_EVENT_BYTES = 4 * 1024 * 1024;

const KIND_CODES = { prelude: 1, content: 2, usage: 3, body: 16, 'body-end': 17 } as const;
export type DataKind = keyof typeof KIND_CODES;
export type BodyKind = 'body' | 'body-end';

const KIND_NAMES = new Map<number, DataKind>(Object.entries(KIND_CODES).map(([name, code]) => [code, name as DataKind]));

export interface DataFrame {
  readonly kind: DataKind;
  readonly stream: number;
  readonly bytes: Uint8Array;
}

export const isChunkKind = (kind: DataKind): kind is ChunkKind => kind === 'prelude' || kind === 'content' || kind === 'usage';

export const encodeData = (kind: DataKind, stream: number, bytes: Uint8Array): Uint8Array => {
  const frame = new Uint8Array(HEADER_BYTES + bytes.length);
  frame[0] = KIND_CODES[kind];
  new DataView(frame.buffer).setUint32(1, stream);
  frame.set(bytes, HEADER_BYTES);
  return frame;
};

/** `null` for what is no data frame of a kind we know: receivers drop it and count it. The bytes are a view, not a copy. */
export const decodeData = (frame: Uint8Array): DataFrame | null => {
  const kind = frame.length >= HEADER_BYTES ? KIND_NAMES.get(frame[0] ?? 0) : undefined;
  if (kind === undefined) return null;
  const stream = new DataView(frame.buffer, frame.byteOffset).getUint32(1);
  return { kind, stream, bytes: frame.subarray(HEADER_BYTES) };
};

export type Decoded<T> = { readonly ok: true; readonly message: T } | { readonly ok: false; readonly problem: string };

const decodeWith =
  <T>(schema: z.ZodType<T>) =>
  (text: string): Decoded<T> => {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      return { ok: false, problem: 'not JSON' };
    }
    const parsed = schema.safeParse(json);
    if (parsed.success) return { ok: true, message: parsed.data };
    const issue = parsed.error.issues[0];
    return { ok: false, problem: `${issue?.path.join('.') || 'message'}: ${issue?.message ?? 'invalid'}` };
  };

/** Unknown fields are dropped; unknown message types are reported as a problem, so that the receiver can count and ignore them. */
export const decodeAgentMessage: (text: string) => Decoded<AgentMessage> = decodeWith(AgentMessage);
const AGENT_MESSAGE_TYPES: ReadonlySet<string> = new Set(AgentMessage.options.map(({ shape }) => shape.type.value));

/** A message of a node as far as it can be read. Ids are null where the message names none. */
export type AgentReading =
  | { readonly kind: 'read'; readonly message: AgentMessage; readonly leftOut: readonly string[] }
  /** Of a newer agent: of no meaning here. */
  | { readonly kind: 'unknown'; readonly type: string }
  | {
      readonly kind: 'unreadable';
      readonly problem: string;
      readonly type: string | null;
      readonly attemptId: string | null;
      readonly commandId: string | null;
    };

/** For a node that is known: one part that does not fit must not cost the rest of its message. Handshakes are read strictly. */
export const readAgentMessage = (text: string): AgentReading => {
  const unreadable = (problem: string, about: Record<string, unknown> = {}): AgentReading => {
    const [type = null, attemptId = null, commandId = null] = ['type', 'attemptId', 'commandId'].map((name) =>
      typeof about[name] === 'string' ? about[name] : null,
    );
    return { kind: 'unreadable', problem, type, attemptId, commandId };
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return unreadable('not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return unreadable('not an object');
  const about = json as Record<string, unknown>;
  const { type } = about;
  if (typeof type === 'string' && !AGENT_MESSAGE_TYPES.has(type)) return { kind: 'unknown', type };
  const forgiven = readForgivingly(AgentMessage, json);
  if (forgiven) return { kind: 'read', message: forgiven.value, leftOut: forgiven.leftOut };
  const strict = decodeWith(AgentMessage)(text);
  return unreadable(strict.ok ? 'unreadable' : strict.problem, about);
};

export const decodeCoordinatorMessage: (text: string) => Decoded<CoordinatorMessage> = decodeWith(CoordinatorMessage);

export const encodeMessage = (message: AgentMessage | CoordinatorMessage): string => JSON.stringify(message);

/**
 * What both sides sign during the handshake. It names its purpose and both parties, so that a signature made here is worth nothing
 * elsewhere, and holds both nonces, so that it is worth nothing a second time.
 */
export const handshakeTranscript = (t: {
  role: 'coordinator' | 'node';
  nodeId: string;
  coordinatorKey: string;
  agentNonce: string;
  coordinatorNonce: string;
  protocol: number;
}): Uint8Array =>
  new TextEncoder().encode(
    ['lai-handshake-v1', t.role, t.nodeId, t.coordinatorKey, t.agentNonce, t.coordinatorNonce, String(t.protocol)].join('\n'),
  );

/** What the old and the new key of a node both sign, so that the one hands over and the other shows that it is there. */
export const rotationTranscript = (t: {
  nodeId: string;
  coordinatorKey: string;
  coordinatorNonce: string;
  nextPublicKey: string;
}): Uint8Array =>
  new TextEncoder().encode(['lai-rotation-v1', t.nodeId, t.coordinatorKey, t.coordinatorNonce, t.nextPublicKey].join('\n'));
