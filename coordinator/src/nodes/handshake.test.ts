import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { generateIdentityKeys, type IdentityKeys, isSignedBy, randomBase64, signWith } from '@lai/shared/ed25519';
import { decodeCoordinatorMessage, handshakeTranscript, rotationTranscript } from '@lai/shared/protocol/codec';
import type { CoordinatorMessage } from '@lai/shared/protocol/coordinator-message';
import { PROTOCOL } from '@lai/shared/protocol/version';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type Database, openDatabase } from '../store/database.ts';
import { confirmGeneration, findNode, insertNode, moveNode } from '../store/nodes.ts';
import { type Handshake, handshake } from './handshake.ts';

const NODE_ID = 'node_1';
const log = pino({ level: 'silent' });

/** An agent's side, one step at a time; whatever is said, the test says it. */
class Caller {
  readonly socket: WebSocket;
  readonly nonce = randomBase64(32);
  readonly heard: CoordinatorMessage[] = [];

  constructor(url: string) {
    this.socket = new WebSocket(url);
    this.socket.on('message', (data) => {
      const decoded = decodeCoordinatorMessage(String(data));
      if (decoded.ok) this.heard.push(decoded.message);
    });
  }

  say(message: Record<string, unknown>): void {
    this.socket.send(JSON.stringify(message));
  }

  async hello(fields: Record<string, unknown> = {}): Promise<void> {
    await once(this.socket, 'open');
    const said = { protocol: PROTOCOL, agentVersion: '0.1.0', nodeId: NODE_ID, nonce: this.nonce };
    this.say({ type: 'node.hello', ...said, ...fields });
  }

  async challenge(): Promise<Extract<CoordinatorMessage, { type: 'node.challenge' }>> {
    if (this.heard.length === 0) await once(this.socket, 'message');
    const [first] = this.heard;
    if (first?.type !== 'node.challenge') throw new Error(`no challenge but ${JSON.stringify(first)}`);
    return first;
  }
}

describe('a handshake', () => {
  let door: WebSocketServer;
  let url: string;
  let db: Database;
  let identity: IdentityKeys;
  let node: IdentityKeys;

  beforeAll(async () => {
    [identity, node] = await Promise.all([generateIdentityKeys(), generateIdentityKeys()]);
    door = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(door, 'listening');
    url = `ws://127.0.0.1:${(door.address() as AddressInfo).port}`;
  });
  beforeEach(async () => {
    await db?.destroy();
    db = await openDatabase(':memory:');
    const row = { id: NODE_ID, name: 'attic', public_key: node.publicKey, created_at_ms: 1, revoked_at_ms: null };
    await insertNode(db, { ...row, state: 'approved' });
  });
  afterAll(async () => {
    for (const socket of door.clients) socket.terminate();
    door.close();
    await db.destroy();
  });

  const call = async (): Promise<{ caller: Caller; result: Promise<Handshake> }> => {
    const arrival = once(door, 'connection') as Promise<[WebSocket]>;
    const caller = new Caller(url);
    const result = arrival.then(([socket]) =>
      handshake(socket, { db, identity, log, address: '192.168.1.7', transport: 'plain' }),
    );
    return { caller, result };
  };
  const transcript = (role: 'coordinator' | 'node', agentNonce: string, coordinatorNonce: string) =>
    handshakeTranscript({
      ...{ role, nodeId: NODE_ID, coordinatorKey: identity.publicKey },
      ...{ agentNonce, coordinatorNonce, protocol: PROTOCOL },
    });
  /** As an honest agent does it, with this key and count. */
  const greet = async (generation = 0, keys = node, more: (nonce: string) => Promise<object> = async () => ({})) => {
    const { caller, result } = await call();
    await caller.hello();
    const { nonce } = await caller.challenge();
    const signature = await signWith(keys.privateKey, transcript('node', caller.nonce, nonce));
    caller.say({ type: 'node.proof', signature, generation, ...(await more(nonce)) });
    return { caller, result: await result, proof: { signature, generation } };
  };

  it('lets in the node that proves to be one, after having proved to be its coordinator', async () => {
    const { caller, result } = await greet();
    expect(result).toMatchObject({ ok: true, nodeId: NODE_ID, name: 'attic', generation: 1, publicKey: node.publicKey });
    const { nonce, signature } = await caller.challenge();
    expect(await isSignedBy(identity.publicKey, signature, transcript('coordinator', caller.nonce, nonce))).toBe(true);
  });

  it('recorded and played again opens nothing: each has a nonce of its own', async () => {
    const recorded = await greet();
    const { caller, result } = await call();
    await caller.hello({ nonce: recorded.caller.nonce });
    await caller.challenge();
    caller.say({ type: 'node.proof', ...recorded.proof, generation: 1 });
    expect(await result).toMatchObject({ ok: false, reason: 'bad_signature' });
  });

  it('of one with another key, or with what the coordinator itself signed, opens nothing', async () => {
    expect((await greet(0, await generateIdentityKeys())).result).toMatchObject({ ok: false, reason: 'bad_signature' });
    const { caller, result } = await call();
    await caller.hello();
    const { signature } = await caller.challenge();
    caller.say({ type: 'node.proof', signature, generation: 0 });
    expect(await result).toMatchObject({ ok: false, reason: 'bad_signature' });
  });

  it('tells a node that is gone so for good, and proves who says it', async () => {
    const { caller, result } = await call();
    await caller.hello({ nodeId: 'node_gone' });
    await caller.challenge();
    caller.say({ type: 'node.proof', signature: 'AAAA', generation: 0 });
    expect(await result).toMatchObject({ ok: false, reason: 'unknown_node', isFinal: true });
  });

  it.each([
    ['pending', 'pending_approval', false],
    ['locked', 'cloned_identity', true],
    ['revoked', 'revoked', true],
  ] as const)('tells a %s node how it stands with it, and nobody else', async (state, reason, isFinal) => {
    await moveNode(db, NODE_ID, { from: ['approved'], to: state, reason: null, nowMs: 2 });
    expect((await greet()).result).toMatchObject({ ok: false, reason, isFinal });
    expect((await greet(0, await generateIdentityKeys())).result).toMatchObject({ ok: false, reason: 'bad_signature' });
  });

  it('with a count that was confirmed before locks the node: there are two of it', async () => {
    expect((await greet(0)).result).toMatchObject({ ok: true, generation: 1 });
    await confirmGeneration(db, NODE_ID, 1);
    expect((await greet(0)).result).toMatchObject({ ok: false, reason: 'cloned_identity', locked: NODE_ID });
    expect((await findNode(db, NODE_ID))?.state).toBe('locked');
    expect((await greet(1)).result).toMatchObject({ ok: false, reason: 'cloned_identity' });
  });

  it('takes a new key that the old and the new one signed for, and goes on with the old one otherwise', async () => {
    const [next, other] = await Promise.all([generateIdentityKeys(), generateIdentityKeys()]);
    const proposal = (old: IdentityKeys, fresh: IdentityKeys) => async (coordinatorNonce: string) => {
      const bytes = rotationTranscript({
        ...{ nodeId: NODE_ID, coordinatorKey: identity.publicKey },
        ...{ coordinatorNonce, nextPublicKey: next.publicKey },
      });
      const [signature, nextSignature] = [await signWith(old.privateKey, bytes), await signWith(fresh.privateKey, bytes)];
      return { nextKey: { publicKey: next.publicKey, signature, nextSignature } };
    };
    expect((await greet(0, node, proposal(node, other))).result).toMatchObject({ ok: true, publicKey: node.publicKey });
    expect((await greet(1, node, proposal(other, next))).result).toMatchObject({ ok: true, publicKey: node.publicKey });
    expect((await greet(2, node, proposal(node, next))).result).toMatchObject({ ok: true, publicKey: next.publicKey });
    expect((await greet(3)).result).toMatchObject({ ok: false, reason: 'bad_signature' });
    expect((await greet(3, next)).result).toMatchObject({ ok: true });
  });

  it.each<[string, (caller: Caller) => void]>([
    ['something else', (caller) => caller.say({ type: 'attempt.accept', attemptId: 'a' })],
    ['no JSON', (caller) => caller.socket.send('{')],
    ['bytes', (caller) => caller.socket.send(new Uint8Array(9))],
    ['nothing and leaves', (caller) => caller.socket.close()],
  ])('ends with who says %s', async (_, act) => {
    const first = await call();
    await once(first.caller.socket, 'open');
    act(first.caller);
    expect(await first.result).toMatchObject({ ok: false, reason: 'bad_message' });
    const second = await call();
    await second.caller.hello();
    await second.caller.challenge();
    act(second.caller);
    expect(await second.result).toMatchObject({ ok: false, reason: 'bad_message' });
  });
});
