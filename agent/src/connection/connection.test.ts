import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { generateIdentityKeys, isSignedBy, signWith } from '@lai/shared/ed25519';
import { decodeAgentMessage, encodeMessage, handshakeTranscript } from '@lai/shared/protocol/codec';
import type { CoordinatorMessage } from '@lai/shared/protocol/coordinator-message';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import type { NodeIdentity } from '../identity.ts';
import { Connection } from './connection.ts';

const NODE_ID = 'node_1';
const welcome: CoordinatorMessage = {
  type: 'node.welcome',
  protocol: 1,
  epoch: 12,
  generation: 8,
  statusIntervalMs: 5_000,
  desired: { generation: 0, isDraining: false, pinnedModels: [] },
};

const until = async (what: string, isTrue: () => boolean): Promise<void> => {
  const deadlineMs = performance.now() + 4_000;
  while (!isTrue()) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain until ${what}`);
    await pause(5);
  }
};

/** An agent's connection, and the door it dials; what happens behind the door is the test's to say. */
const setUp = async () => {
  const [node, coordinator] = await Promise.all([generateIdentityKeys(), generateIdentityKeys()]);
  const door = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(door, 'listening');
  const happened: string[] = [];
  const credential = {
    url: `http://127.0.0.1:${(door.address() as AddressInfo).port}`,
    nodeId: NODE_ID,
    name: 'attic',
    ...node,
    coordinatorKey: coordinator.publicKey,
    generation: 7,
  };
  const identity: NodeIdentity = {
    credential,
    refresh: () => {},
    welcomed: (generation) => {
      credential.generation = generation;
      happened.push(`saved ${generation}`);
    },
    vouchedFor: () => {},
    tryOtherKey: () => {
      happened.push('tried the other key');
      return false;
    },
  };
  const connection = new Connection({
    identity,
    agentVersion: '0.1.0',
    events: {
      opened: ({ epoch }) => happened.push(`opened ${epoch}`),
      lost: () => happened.push('lost'),
      message: ({ type }) => happened.push(type),
      data: ({ kind }) => happened.push(kind),
      refused: (message) => happened.push(`refused: ${message}`),
    },
    log: pino({ level: 'silent' }),
  });
  onTestFinished(() => {
    connection.close();
    for (const socket of door.clients) socket.terminate();
    door.close();
  });
  const dialled = async () => {
    const waiting = once(door, 'connection') as Promise<[WebSocket]>;
    return new Caller((await waiting)[0]);
  };
  return { node, coordinator, connection, happened, dialled };
};

/** The coordinator's end of one socket. */
class Caller {
  readonly socket: WebSocket;
  readonly heard: string[] = [];
  isClosed = false;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => this.heard.push(String(data)));
    socket.on('close', () => {
      this.isClosed = true;
    });
  }

  async message<T extends string>(type: T) {
    const find = () => this.heard.map(decodeAgentMessage).find((decoded) => decoded.ok && decoded.message.type === type);
    await until(`${type} has arrived`, () => find() !== undefined);
    const found = find();
    if (!found?.ok) throw new Error('not reached');
    return found.message;
  }

  say(message: CoordinatorMessage): void {
    this.socket.send(encodeMessage(message));
  }

  /** Answers the hello with a challenge, signed with this key; returns what the node must sign. */
  async challenge(keys: { publicKey: string; privateKey: string }): Promise<Uint8Array> {
    const hello = await this.message('node.hello');
    if (hello.type !== 'node.hello') throw new Error('not reached');
    const transcript = (role: 'coordinator' | 'node') =>
      handshakeTranscript({
        role,
        nodeId: NODE_ID,
        coordinatorKey: keys.publicKey,
        agentNonce: hello.nonce,
        coordinatorNonce: 'AAAA',
        protocol: hello.protocol,
      });
    this.say({ type: 'node.challenge', nonce: 'AAAA', signature: await signWith(keys.privateKey, transcript('coordinator')) });
    return transcript('node');
  }
}

describe('an agent that dials its coordinator', () => {
  it('says who it is, has the coordinator prove itself, proves itself, and is open', async () => {
    const { node, coordinator, connection, happened, dialled } = await setUp();
    connection.start();
    const caller = await dialled();
    const transcript = await caller.challenge(coordinator);
    const proof = await caller.message('node.proof');
    if (proof.type !== 'node.proof') throw new Error('not reached');
    expect(await isSignedBy(node.publicKey, proof.signature, transcript)).toBe(true);
    expect(proof.generation).toBe(7);
    expect(connection.send({ type: 'attempt.accept', attemptId: 'a' })).toBe(false);
    caller.say(welcome);
    await until('it is open', () => connection.state.kind === 'open');
    expect(happened).toEqual(['saved 8', 'opened 12']);
    expect(connection.send({ type: 'attempt.accept', attemptId: 'a' })).toBe(true);
    await caller.message('attempt.accept');
  });

  it('comes back after the line broke, and shows the generation that it was given', async () => {
    const { coordinator, connection, happened, dialled } = await setUp();
    connection.start();
    const first = await dialled();
    await first.challenge(coordinator);
    await first.message('node.proof');
    first.say(welcome);
    await until('it is open', () => connection.state.kind === 'open');
    const again = dialled();
    first.socket.terminate();
    const second = await again;
    expect(happened.at(-1)).toBe('lost');
    await second.challenge(coordinator);
    expect(await second.message('node.proof')).toMatchObject({ generation: 8 });
  });

  it('keeps a connection whose other end answers, after the machine slept', async () => {
    const { coordinator, connection, happened, dialled } = await setUp();
    connection.start();
    const caller = await dialled();
    await caller.challenge(coordinator);
    await caller.message('node.proof');
    caller.say(welcome);
    await until('it is open', () => connection.state.kind === 'open');
    let hasPinged = false;
    caller.socket.once('ping', () => {
      hasPinged = true;
    });
    connection.verify();
    await until('it has asked', () => hasPinged);
    await pause(1_200);
    expect(happened).not.toContain('lost');
  });

  it('drops a connection whose other end is silent, after the machine slept, and dials again', async () => {
    const { coordinator, connection, happened, dialled } = await setUp();
    connection.start();
    const caller = await dialled();
    await caller.challenge(coordinator);
    await caller.message('node.proof');
    caller.say(welcome);
    await until('it is open', () => connection.state.kind === 'open');
    const again = dialled();
    caller.socket.pause();
    connection.verify();
    await again;
    expect(happened).toContain('lost');
  });

  it('takes no work before it is open', async () => {
    const { connection, happened, dialled } = await setUp();
    connection.start();
    const caller = await dialled();
    await caller.message('node.hello');
    caller.say({ type: 'model.load', commandId: 'c', model: 'm' });
    caller.say({ type: 'attempt.cancel', attemptId: 'a', reason: '' });
    caller.say({ type: 'node.reject', reason: 'superseded', message: 'later', isFinal: false });
    await until('it has heard the last word', () => happened.length > 0);
    expect(happened).toEqual(['lost']);
  });
});

describe('somebody else at the address of the coordinator', () => {
  it('gets no proof for a challenge that it cannot sign', async () => {
    const { connection, happened, dialled } = await setUp();
    connection.start();
    const caller = await dialled();
    await caller.challenge(await generateIdentityKeys());
    await until('the agent hung up', () => caller.isClosed);
    expect(caller.heard).toHaveLength(1);
    expect(happened).toEqual(['lost']);
  });

  it('cannot welcome the node without having proved anything', async () => {
    const { connection, happened, dialled } = await setUp();
    connection.start();
    const caller = await dialled();
    await caller.message('node.hello');
    caller.say({ ...welcome, generation: 999 });
    caller.say({ type: 'node.reject', reason: 'superseded', message: 'later', isFinal: false });
    await until('it has heard the last word', () => happened.length > 0);
    expect(happened).toEqual(['lost']);
  });

  it.each(['revoked', 'unknown_node', 'bad_signature'] as const)(
    'cannot stop the node by saying %s: it asks again',
    async (reason) => {
      const { coordinator, connection, happened, dialled } = await setUp();
      connection.start();
      const stranger = await dialled();
      await stranger.message('node.hello');
      const again = dialled();
      stranger.say({ type: 'node.reject', reason, message: 'go away for good', isFinal: true });
      const caller = await again;
      await caller.challenge(coordinator);
      await caller.message('node.proof');
      caller.say(welcome);
      await until('it is open', () => connection.state.kind === 'open');
      expect(happened).toEqual(['lost', 'saved 8', 'opened 12']);
    },
    15_000,
  );
});

describe('the coordinator itself', () => {
  it('stops a node for good', async () => {
    const { coordinator, connection, happened, dialled } = await setUp();
    connection.start();
    const caller = await dialled();
    await caller.challenge(coordinator);
    await caller.message('node.proof');
    caller.say({ type: 'node.reject', reason: 'revoked', message: 'this node was removed', isFinal: true });
    await until('the agent hung up', () => caller.isClosed);
    expect(connection.state).toEqual({ kind: 'refused', reason: 'revoked', message: 'this node was removed' });
    expect(happened).toEqual(['lost', 'refused: this node was removed']);
  });
});
