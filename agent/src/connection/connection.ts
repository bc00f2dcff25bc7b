import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { isSignedBy, keyFingerprint, randomBase64, signWith } from '@lai/shared/ed25519';
import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import {
  type DataFrame,
  decodeCoordinatorMessage,
  decodeData,
  encodeMessage,
  handshakeTranscript,
  rotationTranscript,
} from '@lai/shared/protocol/codec';
import type { CoordinatorMessage, NodeChallenge, NodeWelcome } from '@lai/shared/protocol/coordinator-message';
import { AGENT_SOCKET_PATH, PROTOCOL } from '@lai/shared/protocol/version';
import type { Logger } from 'pino';
import WebSocket from 'ws';
import type { z } from 'zod';
import { isUntrusted, provenAuthority, trustAuthority } from '../coordinator-certificate.ts';
import type { NodeIdentity } from '../identity.ts';
import { socketRoad } from '../proxy.ts';
import { type ConnectionEvent, type ConnectionState, initialState, isProved, nextState } from './connection-state.ts';

/** No frame at all for this long, pings included: the path is dead even if TCP does not know it yet. The coordinator pings every 5 s. */
const SILENCE_LIMIT_MS = 12_000;
const HANDSHAKE_LIMIT_MS = 5_000;
/** For a coordinator that is asked whether it is still there. */
const PROOF_OF_LIFE_MS = 1_000;
/** Of this process. */
const INSTANCE_ID = randomUUID();
/** A connection that ends sooner than this after its welcome was brief. */
const BRIEF_MS = 10_000;
const MAX_FRAME_BYTES = 1024 * 1024;

export interface ConnectionEvents {
  /** After each welcome; the snapshot and the truth about running attempts must be told anew. */
  opened(welcome: z.infer<typeof NodeWelcome>): void;
  /** Work of the old connection is worthless now: its results would be fenced off. */
  lost(): void;
  message(message: CoordinatorMessage): void;
  data(frame: DataFrame): void;
  refused(message: string): void;
}

/**
 * The agent's one outbound socket, kept up for ever. Single writer of its state; see connection-state.ts for the drawing.
 * Nothing on this machine listens: the agent dials, the coordinator never does.
 */
export class Connection {
  readonly #identity: NodeIdentity;
  readonly #agentVersion: string;
  readonly #events: ConnectionEvents;
  readonly #log: Logger;
  #state: ConnectionState = initialState;
  #socket: WebSocket | undefined;
  /** What `#socket` writes to. */
  #wire: Socket | undefined;
  #isCorked = false;
  #timer: NodeJS.Timeout | undefined;
  #lastFrameAtMs = 0;
  #nonce = '';
  #openedAtMs = 0;
  /** Brief connections in a row. */
  #brief = 0;
  #isClosed = false;

  constructor(options: {
    identity: NodeIdentity;
    agentVersion: string;
    events: ConnectionEvents;
    log: Logger;
  }) {
    this.#identity = options.identity;
    this.#agentVersion = options.agentVersion;
    this.#events = options.events;
    this.#log = options.log;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  start(): void {
    this.#dial();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
    this.#socket?.terminate();
  }

  /** False when there is no open connection; the caller's message is then of no use to anybody. */
  send(message: AgentMessage): boolean {
    return this.#state.kind === 'open' && this.#write(encodeMessage(message));
  }

  sendData(frame: Uint8Array): boolean {
    return this.#state.kind === 'open' && this.#write(frame);
  }

  /**
   * The machine has slept, or its clock was set: the other side may have given up on this socket long ago without our hearing of it. It is
   * dropped unless there is an answer at once.
   */
  verify(): void {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) {
      socket?.terminate();
      return;
    }
    const drop = setTimeout(() => socket.terminate(), PROOF_OF_LIFE_MS);
    socket.once('pong', () => clearTimeout(drop));
    socket.once('close', () => clearTimeout(drop));
    socket.ping();
  }

  #write(frame: string | Uint8Array): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#cork();
    this.#socket.send(frame);
    return true;
  }

  /** Tokens of many attempts arrive in one turn of the event loop and leave in one write: a third of the agent's CPU per token. */
  #cork(): void {
    const wire = this.#wire;
    if (this.#isCorked || wire === undefined) return;
    this.#isCorked = true;
    wire.cork();
    setImmediate(() => {
      this.#isCorked = false;
      wire.uncork();
    });
  }

  #dial(): void {
    this.#move({ kind: 'dial' });
    this.#refreshIdentity();
    const url = `${this.#identity.credential.url.replace(/^http/, 'ws').replace(/\/$/, '')}${AGENT_SOCKET_PATH}`;
    const socket = new WebSocket(url, {
      perMessageDeflate: false,
      maxPayload: MAX_FRAME_BYTES,
      handshakeTimeout: HANDSHAKE_LIMIT_MS,
      followRedirects: false,
      ...socketRoad(url),
    });
    this.#socket = socket;
    this.#lastFrameAtMs = performance.now();
    const watch = setInterval(() => this.#checkSilence(socket), 1_000);
    socket.on('upgrade', (response) => {
      this.#wire = response.socket;
    });
    socket.on('open', () => this.#greet());
    socket.on('ping', () => this.#heard());
    socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary));
    socket.on('error', (error) => {
      this.#log.debug({ err: error }, 'socket error');
      if (isUntrusted(error)) void this.#learnAuthority();
    });
    socket.on('close', (code, reason) => {
      clearInterval(watch);
      if (this.#socket === socket) this.#lose(`${code} ${reason}`.trim());
    });
  }

  /** The coordinator may have made a certificate of its own since we joined. The next dial finds it trusted. */
  async #learnAuthority(): Promise<void> {
    const { url, coordinatorKey } = this.#identity.credential;
    const authority = await provenAuthority(url, await keyFingerprint(coordinatorKey));
    if (authority === null || this.#isClosed) return;
    trustAuthority(authority);
    this.#identity.vouchedFor(authority);
    this.#log.info({ url }, 'the coordinator has proved its own certificate authority, which is trusted from now on');
  }

  #checkSilence(socket: WebSocket): void {
    const silenceMs = performance.now() - this.#lastFrameAtMs;
    const limitMs = this.#state.kind === 'open' ? SILENCE_LIMIT_MS : HANDSHAKE_LIMIT_MS;
    if (silenceMs > limitMs) socket.terminate();
  }

  #heard(): void {
    this.#lastFrameAtMs = performance.now();
  }

  #greet(): void {
    this.#move({ kind: 'opened' });
    this.#nonce = randomBase64(32);
    this.#write(
      encodeMessage({
        type: 'node.hello',
        protocol: PROTOCOL,
        agentVersion: this.#agentVersion,
        nodeId: this.#identity.credential.nodeId,
        nonce: this.#nonce,
        instanceId: INSTANCE_ID,
      }),
    );
  }

  #receive(data: Buffer, isBinary: boolean): void {
    this.#heard();
    if (isBinary) {
      const frame = decodeData(data);
      if (frame && this.#state.kind === 'open') this.#events.data(frame);
      return;
    }
    const decoded = decodeCoordinatorMessage(data.toString());
    if (decoded.ok) this.#obey(decoded.message);
    else this.#log.debug({ problem: decoded.problem }, 'message dropped');
  }

  #obey(message: CoordinatorMessage): void {
    switch (message.type) {
      case 'node.challenge':
        void this.#prove(message);
        return;
      case 'node.welcome':
        // Whoever says it without having proved anything would make us show a generation that nobody gave us.
        if (this.#state.kind !== 'proving') return;
        if (!this.#keep(message)) return;
        this.#openedAtMs = performance.now();
        this.#move({ kind: 'welcomed', epoch: message.epoch });
        this.#events.opened(message);
        return;
      case 'node.reject':
        if (message.reason === 'bad_signature' && isProved(this.#state) && this.#identity.tryOtherKey()) {
          this.#log.warn('the coordinator does not know this key; trying the other one');
          this.#socket?.terminate();
          return;
        }
        this.#log.warn(
          { reason: message.reason, isProved: isProved(this.#state) },
          isProved(this.#state)
            ? `coordinator refused this node: ${message.message}`
            : `refused at the coordinator's address, by whoever it is: ${message.message}`,
        );
        this.#move({ kind: 'rejected', reason: message.reason, message: message.message, isFinal: message.isFinal });
        this.#hangUp();
        if (this.#state.kind === 'refused') this.#events.refused(message.message);
        return;
      case 'node.goaway':
        this.#log.info({ spreadMs: message.spreadMs }, 'the coordinator asked this node to connect again');
        this.#move({ kind: 'goaway', spreadMs: message.spreadMs });
        this.#hangUp();
        return;
      default:
        if (this.#state.kind === 'open') this.#events.message(message);
    }
  }

  /** Checks that this is the coordinator we enrolled with, whatever stands between, and proves that we are the node. */
  async #prove(challenge: z.infer<typeof NodeChallenge>): Promise<void> {
    if (this.#state.kind !== 'greeting') return;
    const socket = this.#socket;
    const { nodeId, coordinatorKey, privateKey, generation, next } = this.#identity.credential;
    const transcript = (role: 'coordinator' | 'node') =>
      handshakeTranscript({
        role,
        nodeId,
        coordinatorKey,
        agentNonce: this.#nonce,
        coordinatorNonce: challenge.nonce,
        protocol: PROTOCOL,
      });
    if (!(await isSignedBy(coordinatorKey, challenge.signature, transcript('coordinator')))) {
      this.#log.error('the coordinator at this address is not the one this node enrolled with; not connecting');
      socket?.terminate();
      return;
    }
    const signature = await signWith(privateKey, transcript('node'));
    const nextKey = next && (await this.#handOver(next, challenge.nonce));
    if (socket !== this.#socket) return;
    this.#move({ kind: 'challenged' });
    this.#write(encodeMessage({ type: 'node.proof', signature, generation, ...(nextKey ? { nextKey } : {}) }));
  }

  /** The old key signs for the new one, and the new one shows that it is here. */
  async #handOver(next: { publicKey: string; privateKey: string }, coordinatorNonce: string) {
    const { nodeId, coordinatorKey, privateKey } = this.#identity.credential;
    const bytes = rotationTranscript({ nodeId, coordinatorKey, coordinatorNonce, nextPublicKey: next.publicKey });
    return {
      publicKey: next.publicKey,
      signature: await signWith(privateKey, bytes),
      nextSignature: await signWith(next.privateKey, bytes),
    };
  }

  #refreshIdentity(): void {
    try {
      this.#identity.refresh();
    } catch (error) {
      this.#log.error({ err: error }, "this node's identity cannot be read; going on with what is known");
    }
  }

  /** Nothing is said on this connection before its count is on disk: the coordinator takes our first word as proof of that. */
  #keep({ generation, publicKey }: z.infer<typeof NodeWelcome>): boolean {
    try {
      this.#identity.welcomed(generation, publicKey);
      return true;
    } catch (error) {
      this.#log.error({ err: error }, "this node's identity cannot be written; not connecting");
      this.#socket?.terminate();
      return false;
    }
  }

  #hangUp(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(1000);
    setTimeout(() => socket?.terminate(), 1_000).unref();
    this.#events.lost();
    this.#waitAndDial();
  }

  #lose(why: string): void {
    this.#socket = undefined;
    if (this.#state.kind === 'open') {
      this.#brief = performance.now() - this.#openedAtMs < BRIEF_MS ? this.#brief + 1 : 0;
      this.#log.warn({ why, brief: this.#brief }, 'connection lost');
    }
    this.#move({ kind: 'lost', brief: this.#brief });
    this.#events.lost();
    this.#waitAndDial();
  }

  #waitAndDial(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed || this.#state.kind !== 'waiting') return;
    this.#timer = setTimeout(() => this.#dial(), this.#state.waitMs);
  }

  #move(event: ConnectionEvent): void {
    const before = this.#state;
    this.#state = nextState(before, event, Math.random());
    if (before.kind === this.#state.kind) return;
    if (this.#state.kind === 'open') this.#log.info({ epoch: this.#state.epoch }, 'connected');
  }
}
