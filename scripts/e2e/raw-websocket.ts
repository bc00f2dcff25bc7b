import { createHash, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { AGENT_SOCKET_PATH } from '../../shared/src/protocol/version.ts';

/** A WebSocket by hand, so that it can be wrong: frames are bytes, and nobody corrects them. */
export class RawWebSocket {
  readonly socket: Socket;
  readonly closed: Promise<{ code: number | null; afterMs: number }>;
  #buffer = Buffer.alloc(0);
  #code: number | null = null;
  #lastWriteAtMs = performance.now();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (piece: Buffer) => this.#take(piece));
    socket.on('error', () => {});
    this.closed = new Promise((resolve) =>
      socket.once('close', () => resolve({ code: this.#code, afterMs: performance.now() - this.#lastWriteAtMs })),
    );
  }

  /** Null when the upgrade was refused. */
  static async open(url: string): Promise<RawWebSocket | null> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    const key = randomBytes(16).toString('base64');
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    const answer = await new Promise<string>((resolve) => {
      socket.once('error', () => resolve(''));
      socket.once('close', () => resolve(''));
      socket.once('data', (piece) => resolve(piece.toString('latin1')));
      socket.write(
        `GET ${AGENT_SOCKET_PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
      );
    });
    if (answer.startsWith('HTTP/1.1 101') && answer.includes(accept)) return new RawWebSocket(socket);
    socket.destroy();
    return null;
  }

  write(bytes: Uint8Array): void {
    this.#lastWriteAtMs = performance.now();
    this.socket.write(bytes);
  }

  /** Only as much as is needed to know why the other side closed. */
  #take(piece: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, piece]).subarray(-4_096);
    const at = this.#buffer.indexOf(0x88);
    if (at >= 0 && this.#buffer.length >= at + 4) this.#code = this.#buffer.readUInt16BE(at + 2);
    // The closing handshake of somebody who has nothing more to say.
    if (at >= 0) this.socket.end();
  }
}

export interface FrameParts {
  readonly isFinal?: boolean;
  readonly reserved?: number;
  readonly opcode: number;
  readonly isMasked?: boolean;
  /** What the header claims, when it is not the truth. */
  readonly claims?: number;
  readonly payload?: Uint8Array;
}

export const frame = ({
  isFinal = true,
  reserved = 0,
  opcode,
  isMasked = true,
  claims,
  payload = new Uint8Array(),
}: FrameParts): Buffer => {
  const length = claims ?? payload.length;
  const mask = randomBytes(4);
  const size =
    length < 126
      ? Buffer.from([length])
      : length < 65_536
        ? Buffer.from([126, length >> 8, length & 255])
        : Buffer.concat([Buffer.from([127]), bigEndian(length)]);
  size[0] = (size[0] ?? 0) | (isMasked ? 0x80 : 0);
  const first = Buffer.from([(isFinal ? 0x80 : 0) | (reserved << 4) | opcode]);
  const body = isMasked ? Buffer.concat([mask, payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0))]) : payload;
  return Buffer.concat([first, size, body]);
};

const bigEndian = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};
