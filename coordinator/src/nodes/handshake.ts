import { type IdentityKeys, isSignedBy, randomBase64, signWith } from '@lai/shared/ed25519';
import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import { decodeAgentMessage, encodeMessage, handshakeTranscript } from '@lai/shared/protocol/codec';
import type { CoordinatorMessage, RejectReason } from '@lai/shared/protocol/coordinator-message';
import { MIN_PROTOCOL, PROTOCOL } from '@lai/shared/protocol/version';
import type WebSocket from 'ws';
import type { Database } from '../store/database.ts';
import { advanceGeneration, findNode } from '../store/nodes.ts';

/** A socket that has not proved who it is within this is closed. */
export const HANDSHAKE_LIMIT_MS = 5_000;

export type Handshake =
  | {
      readonly ok: true;
      readonly nodeId: string;
      readonly name: string;
      readonly protocol: number;
      readonly generation: number;
      readonly instanceId: string;
    }
  | { readonly ok: false; readonly reason: RejectReason; readonly message: string; readonly isFinal: boolean };

const refuse = (reason: RejectReason, message: string, isFinal = true): Handshake => ({ ok: false, reason, message, isFinal });

/**
 * Mutual proof of identity on a fresh socket: hello → challenge (signed by us, so that the node knows its coordinator) → proof (signed
 * by the node's key). Both sign both nonces; see shared/src/protocol/DESIGN.md.
 */
export const handshake = async (
  socket: WebSocket,
  { db, identity }: { db: Database; identity: IdentityKeys },
): Promise<Handshake> => {
  const hello = await nextMessage(socket);
  if (hello?.type !== 'node.hello') return refuse('bad_message', 'expected node.hello', false);
  const { nodeId } = hello;
  if (hello.protocol < MIN_PROTOCOL)
    return refuse(
      'agent_too_old',
      `this agent speaks protocol ${hello.protocol}; at least ${MIN_PROTOCOL} is needed. Update the agent.`,
    );
  const node = await findNode(db, nodeId);
  if (!node) return refuse('unknown_node', 'this coordinator does not know the node. Join again with a new token.');
  if (node.revoked_at_ms !== null) return refuse('revoked', 'this node was removed from the fleet.');

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
  if (!(await isSignedBy(node.public_key, proof.signature, transcript('node'))))
    return refuse('bad_signature', 'the signature does not match the key of this node.');
  const generation = await advanceGeneration(db, nodeId, proof.generation);
  if (generation === false)
    return refuse('cloned_identity', 'another machine uses the identity of this node. Remove it and join both anew.');
  return {
    ok: true,
    nodeId,
    name: node.name,
    protocol: Math.min(hello.protocol, PROTOCOL),
    generation,
    instanceId: hello.instanceId ?? '',
  };
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
