/** A WebSocket message, unfragmented and unmasked. */
export interface SocketMessage {
  readonly isBinary: boolean;
  readonly payload: Buffer;
}

const END_OF_HEAD = Buffer.from('\r\n\r\n');
const OPCODES = { continuation: 0, text: 1, binary: 2 } as const;

interface RawFrame {
  readonly isLast: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
  readonly totalBytes: number;
}

/** The first frame of these bytes; null when it is not complete yet. Layout: RFC 6455, 5.2. */
const firstFrame = (bytes: Buffer): RawFrame | null => {
  const [first, second] = [bytes[0], bytes[1]];
  if (first === undefined || second === undefined) return null;
  const short = second & 0x7f;
  const isMasked = (second & 0x80) !== 0;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const headBytes = 2 + lengthBytes + (isMasked ? 4 : 0);
  if (bytes.length < headBytes) return null;
  const length = lengthBytes === 0 ? short : lengthBytes === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (bytes.length < headBytes + length) return null;
  const payload = Buffer.from(bytes.subarray(headBytes, headBytes + length));
  if (isMasked) for (let at = 0; at < length; at += 1) payload[at] = (payload[at] ?? 0) ^ (bytes[headBytes - 4 + (at & 3)] ?? 0);
  return { isLast: (first & 0x80) !== 0, opcode: first & 0x0f, payload, totalBytes: headBytes + length };
};

/** Reads along with one direction of a WebSocket connection, from its HTTP head on. Without compression, which Lai does not use. */
export class FrameReader {
  #bytes: Buffer = Buffer.alloc(0);
  #hasHead = false;
  #parts: Buffer[] = [];
  #isBinary = false;

  push(bytes: Buffer): SocketMessage[] {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    if (!this.#hasHead && !this.#skipHead()) return [];
    const messages: SocketMessage[] = [];
    for (let frame = firstFrame(this.#bytes); frame !== null; frame = firstFrame(this.#bytes)) {
      this.#bytes = this.#bytes.subarray(frame.totalBytes);
      const message = this.#join(frame);
      if (message) messages.push(message);
    }
    return messages;
  }

  #skipHead(): boolean {
    const end = this.#bytes.indexOf(END_OF_HEAD);
    if (end < 0) return false;
    this.#bytes = this.#bytes.subarray(end + END_OF_HEAD.length);
    this.#hasHead = true;
    return true;
  }

  #join({ isLast, opcode, payload }: RawFrame): SocketMessage | null {
    if (opcode > OPCODES.binary) return null;
    if (opcode !== OPCODES.continuation) this.#isBinary = opcode === OPCODES.binary;
    this.#parts.push(payload);
    if (!isLast) return null;
    const message = { isBinary: this.#isBinary, payload: Buffer.concat(this.#parts) };
    this.#parts = [];
    return message;
  }
}
