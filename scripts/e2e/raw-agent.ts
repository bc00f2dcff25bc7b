import { generateIdentityKeys, type IdentityKeys, randomBase64, signWith } from '../../shared/src/ed25519.ts';
import { handshakeTranscript } from '../../shared/src/protocol/codec.ts';
import { AGENT_SOCKET_PATH, PROTOCOL } from '../../shared/src/protocol/version.ts';

export interface RawIdentity {
  readonly nodeId: string;
  readonly coordinatorKey: string;
  readonly keys: IdentityKeys;
  generation: number;
}

/** Enrols as `lai-agent join` does. */
export const enrollRaw = async (url: string, token: string, name: string): Promise<RawIdentity> => {
  const keys = await generateIdentityKeys();
  const response = await fetch(`${url}/api/v1/enroll`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token, name, publicKey: keys.publicKey }),
  });
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
  const { nodeId, coordinatorKey } = (await response.json()) as { nodeId: string; coordinatorKey: string };
  return { nodeId, coordinatorKey, keys, generation: 0 };
};

/** An agent's side of the socket and nothing behind it: says what the test wants said. */
export class RawAgent {
  readonly socket: WebSocket;
  readonly heard: { type: string; [field: string]: unknown }[] = [];
  readonly closed: Promise<{ code: number; atMs: number }>;
  readonly #watchers = new Set<() => void>();

  constructor(url: string) {
    this.socket = new WebSocket(`${url.replace(/^http/, 'ws')}${AGENT_SOCKET_PATH}`);
    this.socket.binaryType = 'arraybuffer';
    this.closed = new Promise((resolve) =>
      this.socket.addEventListener('close', ({ code }) => {
        resolve({ code, atMs: performance.now() });
        for (const watch of this.#watchers) watch();
      }),
    );
    this.socket.addEventListener('error', () => {});
    this.socket.addEventListener('message', ({ data }) => {
      if (typeof data === 'string') this.heard.push(JSON.parse(data));
      for (const watch of this.#watchers) watch();
    });
  }

  get opened(): Promise<void> {
    if (this.socket.readyState === WebSocket.OPEN) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.socket.addEventListener('open', () => resolve(), { once: true });
      this.socket.addEventListener('error', () => reject(new Error('not opened')), { once: true });
    });
  }

  say(message: Record<string, unknown>): void {
    this.socket.send(JSON.stringify(message));
  }

  /** The first message of one of the types, past or future. */
  async message(...types: string[]): Promise<Record<string, unknown>> {
    const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
    const look = () => {
      const found = this.heard.find(({ type }) => types.includes(type));
      if (found) resolve(found);
      else if (this.socket.readyState === WebSocket.CLOSED) reject(new Error(`closed before ${types}`));
    };
    this.#watchers.add(look);
    look();
    const timer = setTimeout(() => reject(new Error(`no ${types} within 10 s; heard ${JSON.stringify(this.heard)}`)), 10_000);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#watchers.delete(look);
    });
  }

  /** Hello, challenge, proof; the welcome or the rejection. */
  async greet(identity: RawIdentity): Promise<Record<string, unknown>> {
    await this.opened;
    const nonce = randomBase64(32);
    this.say({ type: 'node.hello', protocol: PROTOCOL, agentVersion: '0.1.0', nodeId: identity.nodeId, nonce });
    const challenge = await this.message('node.challenge', 'node.reject');
    if (challenge['type'] === 'node.reject') return challenge;
    const transcript = handshakeTranscript({
      role: 'node',
      nodeId: identity.nodeId,
      coordinatorKey: identity.coordinatorKey,
      agentNonce: nonce,
      coordinatorNonce: String(challenge['nonce']),
      protocol: PROTOCOL,
    });
    const signature = await signWith(identity.keys.privateKey, transcript);
    this.say({ type: 'node.proof', signature, generation: identity.generation });
    const answer = await this.message('node.welcome', 'node.reject');
    if (answer['type'] === 'node.welcome') identity.generation = Number(answer['generation']);
    return answer;
  }
}
