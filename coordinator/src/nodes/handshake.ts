import { type IdentityKeys, isSignedBy, randomBase64, signWith } from '@lai/shared/ed25519';
import type { NodeDesired } from '@lai/shared/node';
import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import { decodeAgentMessage, encodeMessage, handshakeTranscript, rotationTranscript } from '@lai/shared/protocol/codec';
import type { CoordinatorMessage, RejectReason } from '@lai/shared/protocol/coordinator-message';
import { agreedProtocol, MIN_PROTOCOL } from '@lai/shared/protocol/version';
import type { Logger } from 'pino';
import type WebSocket from 'ws';
import { lockNode, rotateNodeKey } from '../access/node-membership.ts';
import type { Database } from '../store/database.ts';
import { advanceGeneration, desiredOf, findNode, type NodeRow, type Transport } from '../store/nodes.ts';

const UNKNOWN_NODE = 'this coordinator does not know the node. Join again with a new token.';

/** A socket that has not proved who it is within this is closed. */
export const HANDSHAKE_LIMIT_MS = 5_000;

export type Handshake =
  | {
      readonly ok: true;
      readonly nodeId: string;
      readonly name: string;
      readonly desired: NodeDesired;
      readonly publicKey: string;
      readonly protocol: number;
      readonly generation: number;
      readonly instanceId: string;
    }
  | {
      readonly ok: false;
      readonly reason: RejectReason;
      readonly message: string;
      readonly isFinal: boolean;
      /** The node that was locked because of this. */
      readonly locked?: string;
    };

const refuse = (reason: RejectReason, message: string, isFinal = true): Handshake => ({ ok: false, reason, message, isFinal });

export interface HandshakeContext {
  readonly db: Database;
  readonly identity: IdentityKeys;
  readonly log: Logger;
  /** Where the socket comes from. */
  readonly address: string;
  readonly transport: Transport;
}

/**
 * Mutual proof of identity on a fresh socket: hello → challenge (signed by us, so that the node knows its coordinator) → proof (signed
 * by the node's key). Both sign both nonces; see shared/src/protocol/DESIGN.md. Only who has proved to be the node is told how it
 * stands with it.
 */
export const handshake = async (socket: WebSocket, context: HandshakeContext): Promise<Handshake> => {
  const { db, identity } = context;
  const hello = await nextMessage(socket);
  if (hello?.type !== 'node.hello') return refuse('bad_message', 'expected node.hello', false);
  const { nodeId } = hello;
  const protocol = agreedProtocol(hello.protocol);
  if (protocol === null)
    return refuse(
      'agent_too_old',
      `this agent speaks protocol ${hello.protocol}; at least ${MIN_PROTOCOL} is needed. Update the agent.`,
    );
  const node = await findNode(db, nodeId);

  const coordinatorNonce = randomBase64(32);
  const transcript = (role: 'coordinator' | 'node') =>
    handshakeTranscript({
      role,
      nodeId,
      coordinatorKey: identity.publicKey,
      agentNonce: hello.nonce,
      coordinatorNonce,
      protocol: hello.protocol,
    });
  say(socket, {
    type: 'node.challenge',
    nonce: coordinatorNonce,
    signature: await signWith(identity.privateKey, transcript('coordinator')),
  });

  const proof = await nextMessage(socket);
  if (proof?.type !== 'node.proof') return refuse('bad_message', 'expected node.proof', false);
  // An agent believes what stops it for good only from who has proved to be its coordinator, so even a node that is gone gets the proof.
  if (!node) return refuse('unknown_node', UNKNOWN_NODE);
  if (!(await isSignedBy(node.public_key, proof.signature, transcript('node'))))
    return refuse('bad_signature', 'the signature does not match the key of this node.');
  const standing = refusalByState(node);
  if (standing) return standing;

  const visit = { atMs: Date.now(), address: context.address, transport: context.transport };
  const generation = await advanceGeneration(db, nodeId, proof.generation, visit);
  if (generation === false) return refuseCopy(node, proof.generation, context);
  return {
    ok: true,
    nodeId,
    name: node.name,
    desired: desiredOf(node),
    publicKey: await takeNextKey(node, proof.nextKey, coordinatorNonce, context),
    protocol,
    generation,
    instanceId: hello.instanceId ?? '',
  };
};

/** Null for a node that may work. */
export const refusalByState = (node: NodeRow | undefined): Extract<Handshake, { ok: false }> | null => {
  const no = (reason: RejectReason, message: string, isFinal: boolean) => ({ ok: false, reason, message, isFinal }) as const;
  switch (node?.state) {
    case 'approved':
      return null;
    case 'pending':
      return no('pending_approval', 'an operator has to approve this node first: `lai nodes approve`.', false);
    case 'locked':
      return no(
        'cloned_identity',
        `this node is locked: ${node.state_reason}. An operator has to decide: \`lai nodes approve\`.`,
        true,
      );
    case 'revoked':
      return no('revoked', 'this node was removed from the fleet.', true);
    case undefined:
      return no('unknown_node', UNKNOWN_NODE, true);
  }
};

const refuseCopy = async (node: NodeRow, shown: number, context: HandshakeContext): Promise<Handshake> => {
  const isLocked = await lockNode(
    node,
    {
      alert: 'node.cloned',
      reason: `two machines use its identity; the second came from ${context.address}`,
      ...{ address: context.address, nowMs: Date.now(), detail: { shown, expected: node.generation } },
    },
    context,
  );
  return {
    ...({ ok: false, reason: 'cloned_identity', isFinal: true } as const),
    message: 'another machine uses the identity of this node. Both are locked out until an operator has decided.',
    ...(isLocked ? { locked: node.id } : {}),
  };
};

/** The key that counts from now on: the proposed one when the old and the new key both signed for it, else the old one. */
const takeNextKey = async (
  node: NodeRow,
  next: Extract<AgentMessage, { type: 'node.proof' }>['nextKey'],
  coordinatorNonce: string,
  { db, identity, log, address }: HandshakeContext,
): Promise<string> => {
  if (!next) return node.public_key;
  const bytes = rotationTranscript({
    nodeId: node.id,
    coordinatorKey: identity.publicKey,
    coordinatorNonce,
    nextPublicKey: next.publicKey,
  });
  const isSigned =
    (await isSignedBy(node.public_key, next.signature, bytes)) && (await isSignedBy(next.publicKey, next.nextSignature, bytes));
  if (!isSigned || !(await rotateNodeKey(node, next.publicKey, { address, nowMs: Date.now() }, { db, log })))
    return node.public_key;
  return next.publicKey;
};

export const say = (socket: WebSocket, message: CoordinatorMessage): void => socket.send(encodeMessage(message));

/** The next text message, or null when the socket closes, sends something else or takes too long. */
const nextMessage = (socket: WebSocket): Promise<AgentMessage | null> =>
  new Promise((resolve) => {
    const finish = (message: AgentMessage | null) => {
      clearTimeout(timer);
      socket.off('message', take);
      socket.off('close', lose);
      resolve(message);
    };
    const take = (data: Buffer, isBinary: boolean) => {
      const decoded = isBinary ? null : decodeAgentMessage(data.toString());
      finish(decoded?.ok ? decoded.message : null);
    };
    const lose = () => finish(null);
    const timer = setTimeout(lose, HANDSHAKE_LIMIT_MS);
    socket.once('message', take);
    socket.once('close', lose);
  });
