import type { IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import type { Duplex } from 'node:stream';
import type { IdentityKeys } from '@lai/shared/ed25519';
import { AGENT_SOCKET_PATH } from '@lai/shared/protocol/version';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import { type ClientAddress, clientAddress } from '../access/client-address.ts';
import { networkOf } from '../access/failure-limits.ts';
import { lockNode } from '../access/node-membership.ts';
import type { Revocation } from '../access/revocations.ts';
import { isUp, type LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { Database } from '../store/database.ts';
import { confirmGeneration, desiredOf, findNode, listAllNodes, type NodeRow } from '../store/nodes.ts';
import { believedSnapshot } from './believed-snapshot.ts';
import { Distrust } from './distrust.ts';
import { type Handshake, handshake, refusalByState, say } from './handshake.ts';
import { NodeSession, type Wire } from './node-session.ts';
import { clockTroubles, inOurTime, skewOf, withTimeLeft } from './node-time.ts';
import type { Registry } from './registry.ts';
import { Strangers } from './strangers.ts';
import { heldAsUnreadable, withTroubles } from './unreadable-node.ts';

const STATUS_INTERVAL_MS = 5_000;
const MAX_FRAME_BYTES = 1024 * 1024;
/** How long a node that lost its right has to hang up by itself. */
const FAREWELL_MS = 250;
/** How long a stranger waits for a turn; less than agents wait for an answer. */
const TURN_LIMIT_MS = 4_000;
const BUSY = '503 Service Unavailable';
/** News of lost rights can get lost; this often every connected node is looked up. */
const RECHECK_MS = 5_000;

interface Member {
  readonly session: NodeSession;
  readonly socket: WebSocket;
  /** What the fleet calls it: the operator's word counts, not the agent's. */
  name: string;
  /** Of the operator's wishes that it was told. */
  desiredGeneration: number;
}

/**
 * Takes agents in: WebSocket upgrade on one path, handshake, then a NodeSession in the registry. Browsers are refused by their Origin
 * header, which agents do not send; strangers are few at a time and soon closed; who loses its right while connected is put out.
 */
export const acceptAgents = (options: {
  db: Database;
  redis: LaiRedis;
  registry: Registry;
  identity: IdentityKeys;
  proxies: BlockList;
  announce: (revocation: Revocation) => void;
  log: Logger;
}) => {
  const { db, registry, log } = options;
  // ws's own defaults let 50 sockets with tiny fragments take 112 MB of heap; with these limits 1 MB (measured).
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    maxFragments: 64,
    maxBufferedChunks: 1_024,
  });
  const strangers = new Strangers();
  const members = new Map<string, Member>();
  const distrust = new Distrust();
  let isClosed = false;

  const recheck = async (nodeId: string | null): Promise<void> => {
    const looked = nodeId === null ? [...members.values()] : [members.get(nodeId)];
    const found = nodeId === null ? await listAllNodes(db) : [await findNode(db, nodeId)];
    const rows = new Map(found.map((row) => [row?.id, row]));
    for (const member of looked) {
      const id = member?.session.nodeId ?? '';
      // Who has come anew meanwhile was looked at then.
      if (!member || members.get(id) !== member) continue;
      const row = rows.get(id);
      const refusal = refusalByState(row);
      if (refusal) putOut(member, refusal);
      else if (row) tell(member, row);
    }
  };

  const tell = (member: Member, row: NodeRow): void => {
    member.name = row.name;
    const desired = desiredOf(row);
    if (desired.generation === member.desiredGeneration) return;
    member.desiredGeneration = desired.generation;
    member.session.send({ type: 'node.desire', desired: withTimeLeft(desired, Date.now()) });
  };

  const putOut = ({ session, socket }: Member, { reason, message, isFinal }: Extract<Handshake, { ok: false }>): void => {
    log.warn({ nodeId: session.nodeId, reason }, 'node put out');
    session.close({ type: 'node.reject', reason, message, isFinal });
    setTimeout(() => socket.terminate(), FAREWELL_MS).unref();
  };

  /** The session closes itself; what follows is that the node rests, and is locked if that did not help. */
  const distrustNode = ({ session, name }: Member, address: string, reason: string): void => {
    const { nodeId } = session;
    log.error({ alert: 'node.distrusted', nodeId, name, reason }, 'node broke the protocol; closing its connection');
    if (!distrust.record(nodeId, reason, Date.now())) return;
    distrust.forgive(nodeId);
    const why = { alert: 'node.distrusted', reason: `it broke the protocol again and again; the last time it ${reason}` };
    lockNode({ id: nodeId, name }, { ...why, address, nowMs: Date.now(), detail: { reason } }, { db, log }).then(
      (isLocked) => isLocked && options.announce({ kind: 'node', id: nodeId }),
      (error: unknown) => log.error({ err: error, nodeId }, 'a node that broke the protocol could not be locked'),
    );
  };

  const greet = async (socket: WebSocket, wire: Wire, from: ClientAddress, leave: () => void): Promise<void> => {
    const result = await handshake(socket, { ...options, ...from });
    leave();
    if (isClosed) {
      socket.terminate();
      return;
    }
    if (!result.ok) {
      log.warn({ reason: result.reason, from: from.address }, 'node refused');
      say(socket, { type: 'node.reject', reason: result.reason, message: result.message, isFinal: result.isFinal });
      socket.close(4_001, result.reason);
      if (result.locked) options.announce({ kind: 'node', id: result.locked });
      return;
    }
    const { nodeId, protocol, generation, instanceId, publicKey } = result;
    const epoch = await nextEpoch(options.redis, nodeId);
    if (isClosed) socket.terminate();
    if (isClosed || socket.readyState !== socket.OPEN) return;
    let isConfirmed = false;
    let skewMs = 0;
    let isSkewTold = false;
    const session: NodeSession = new NodeSession({
      nodeId,
      epoch,
      instanceId,
      socket,
      wire,
      events: {
        snapshot: (snapshot) => {
          // It has stored its count before it says anything.
          if (!isConfirmed) void confirmGeneration(db, nodeId, generation).catch(() => {});
          isConfirmed = true;
          skewMs = skewOf(skewMs, { takenAtMs: snapshot.takenAtMs, nowMs: Date.now() });
          const troubles = clockTroubles(skewMs);
          // Once for each connection: what a node says may be another thing every time.
          if (troubles.length > 0 && !isSkewTold) log.warn({ nodeId, name: member.name, skewMs }, 'the clock of a node is off');
          isSkewTold ||= troubles.length > 0;
          const believed = withTroubles(inOurTime(believedSnapshot(snapshot), skewMs), troubles);
          const hold = distrust.holdOn(nodeId, Date.now());
          const holds = hold ? [...believed.holds, hold] : believed.holds;
          registry.observe(session, { ...believed, name: member.name, holds });
        },
        unreadable: (problem) => {
          const last = registry.snapshot(nodeId);
          registry.observe(session, heldAsUnreadable(last, { name: member.name, problem, nowMs: Date.now() }));
        },
        liveness: (liveness) => registry.setLiveness(session, liveness),
        misbehaved: (reason) => distrustNode(member, from.address, reason),
        closed: () => {
          log.warn({ nodeId, name: member.name, epoch }, 'node gone');
          if (members.get(nodeId) === member) members.delete(nodeId);
          registry.remove(session);
        },
      },
      log,
    });
    const member: Member = { session, socket, name: result.name, desiredGeneration: result.desired.generation };
    members.set(nodeId, member);
    registry.add(session);
    session.send({
      type: 'node.welcome',
      protocol,
      epoch,
      generation,
      publicKey,
      statusIntervalMs: STATUS_INTERVAL_MS,
      desired: withTimeLeft(result.desired, Date.now()),
      sentAtMs: Date.now(),
    });
    log.info({ nodeId, name: member.name, epoch, transport: from.transport }, 'node connected');
    // It may have lost its right between the question and the answer.
    await recheck(nodeId);
  };

  sockets.on('connection', (socket: WebSocket, wire: Wire, from: ClientAddress, leave: () => void) => {
    socket.on('error', () => {});
    void greet(socket, wire, from, leave)
      .catch((error: unknown) => {
        log.error({ err: error }, 'handshake failed');
        socket.terminate();
      })
      .finally(leave);
  });

  const timer = setInterval(() => void recheck(null).catch(() => {}), RECHECK_MS);
  timer.unref();

  return {
    recheck,
    /**
     * Takes nobody in any more. Whoever is no member by now never will be; members are the registry's to say goodbye to, and those that do
     * not answer are cut off: one line that stays open keeps the HTTP server from closing, for ever.
     */
    close(): void {
      isClosed = true;
      clearInterval(timer);
      const known = new Set([...members.values()].map(({ socket }) => socket));
      for (const socket of sockets.clients) if (!known.has(socket)) socket.terminate();
      setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, FAREWELL_MS);
    },
    upgrade(request: IncomingMessage, duplex: Duplex, head: Buffer): void {
      // Node no longer listens to it: a stranger that is refused and resets the line would end this process.
      duplex.on('error', () => duplex.destroy());
      const from = addressOf(request, options.proxies);
      const problem =
        request.url?.split('?')[0] !== AGENT_SOCKET_PATH ? '404 Not Found' : request.headers.origin ? '403 Forbidden' : null;
      const turnAway = (status: string) => duplex.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      if (problem || isClosed) {
        turnAway(problem ?? BUSY);
        return;
      }
      const late = setTimeout(() => {
        turnAway(BUSY);
        leave?.();
      }, TURN_LIMIT_MS).unref();
      const letIn = () => {
        clearTimeout(late);
        sockets.handleUpgrade(request, duplex, head, (socket) =>
          sockets.emit('connection', socket, request.socket, from, () => leave?.()),
        );
      };
      const leave = strangers.admit(from.transport === 'loopback' ? null : networkOf(from.address), letIn);
      // Whatever happens to the upgrade, the stranger is not counted for ever.
      duplex.once('close', () => {
        clearTimeout(late);
        leave?.();
      });
      if (leave) return;
      clearTimeout(late);
      turnAway(BUSY);
    },
  };
};

const addressOf = ({ socket, headers }: IncomingMessage, proxies: BlockList): ClientAddress =>
  clientAddress(
    {
      peer: socket.remoteAddress,
      isEncrypted: 'encrypted' in socket && socket.encrypted === true,
      forwardedFor: headers['x-forwarded-for']?.toString(),
      forwardedProto: headers['x-forwarded-proto']?.toString(),
    },
    proxies,
  );

/** Never less than the clock, so that a node can also connect, and be newer than before, while Redis is away. */
const nextEpoch = async (redis: LaiRedis, nodeId: string): Promise<number> => {
  if (!isUp(redis)) return Date.now();
  return redis.nextEpoch(keys.nodeEpoch(nodeId)).then(Number, () => Date.now());
};
