import type { ChunkKind } from '@lai/shared/attempt';

/**
 * What replicas send each other: batches of items, because a message each would cost twice the CPU (measured).
 *
 *   [u8 length of sender][sender][item …]     item: [u32 length][u8 type][payload]
 *
 * Type 0 is a JSON message; the others are bytes of a stream: [u32 stream][u32 sequence][bytes].
 */
export type Item = { readonly kind: 'message'; readonly message: unknown } | DataItem;

export interface DataItem {
  readonly kind: DataItemKind;
  readonly stream: number;
  /** Position among the pieces of one answer, from 0. */
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

export type DataItemKind = ChunkKind | 'body' | 'body-end';

const TYPES = ['message', 'prelude', 'content', 'usage', 'body', 'body-end'] as const;
const HEADER_BYTES = 5;
const DATA_HEADER_BYTES = 8;

export const encodeItem = (item: Item): Buffer => {
  const type = TYPES.indexOf(item.kind);
  if (item.kind === 'message') {
    const json = Buffer.from(JSON.stringify(item.message));
    const bytes = Buffer.allocUnsafe(HEADER_BYTES + json.length);
    bytes.writeUInt32BE(1 + json.length, 0);
    bytes.writeUInt8(type, 4);
    json.copy(bytes, HEADER_BYTES);
    return bytes;
  }
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + DATA_HEADER_BYTES + item.bytes.length);
  bytes.writeUInt32BE(1 + DATA_HEADER_BYTES + item.bytes.length, 0);
  bytes.writeUInt8(type, 4);
  bytes.writeUInt32BE(item.stream, 5);
  bytes.writeUInt32BE(item.sequence, 9);
  bytes.set(item.bytes, HEADER_BYTES + DATA_HEADER_BYTES);
  return bytes;
};

export const encodeEnvelope = (sender: string, items: readonly Buffer[]): Buffer => {
  const name = Buffer.from(sender);
  return Buffer.concat([Buffer.from([name.length]), name, ...items]);
};

/** Null for what is no envelope of ours. Bytes are views. */
export const decodeEnvelope = (bytes: Buffer): { readonly sender: string; readonly items: readonly Item[] } | null => {
  const nameLength = bytes[0];
  if (nameLength === undefined || bytes.length < 1 + nameLength) return null;
  const items: Item[] = [];
  let at = 1 + nameLength;
  while (at + HEADER_BYTES <= bytes.length) {
    const end = at + 4 + bytes.readUInt32BE(at);
    const kind = TYPES[bytes.readUInt8(at + 4)];
    if (kind === undefined || end > bytes.length) return null;
    const payload = bytes.subarray(at + HEADER_BYTES, end);
    const item = kind === 'message' ? messageIn(payload) : dataIn(kind, payload);
    if (!item) return null;
    items.push(item);
    at = end;
  }
  return { sender: bytes.toString('utf8', 1, 1 + nameLength), items };
};

const messageIn = (payload: Buffer): Item | null => {
  try {
    return { kind: 'message', message: JSON.parse(payload.toString()) };
  } catch {
    return null;
  }
};

const dataIn = (kind: DataItemKind, payload: Buffer): Item | null =>
  payload.length < DATA_HEADER_BYTES
    ? null
    : { kind, stream: payload.readUInt32BE(0), sequence: payload.readUInt32BE(4), bytes: payload.subarray(DATA_HEADER_BYTES) };
