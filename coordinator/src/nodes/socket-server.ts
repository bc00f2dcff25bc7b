import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { IdentityKeys } from '@lai/shared/ed25519';
import { AGENT_SOCKET_PATH } from '@lai/shared/protocol/version';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import { isUp, type LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { Database } from '../store/database.ts';
import { handshake, say } from './handshake.ts';
import { NodeSession, type Wire } from './node-session.ts';
import type { Registry } from './registry.ts';

const STATUS_INTERVAL_MS = 5_000;
const MAX_STRANGERS = 64;
const MAX_FRAME_BYTES = 1024 * 1024;

/**
 * Takes agents in: WebSocket upgrade on one path, handshake, then a NodeSession in the registry. Browsers are refused by their Origin
 * header, which agents do not send; strangers are few at a time and soon closed.
 */
export const acceptAgents = (options: {
  db: Database;
  redis: LaiRedis;
  registry: Registry;
  identity: IdentityKeys;
  log: Logger;
}) => {
  const { registry, log } = options;
  // ws's own defaults let 50 sockets with tiny fragments take 112 MB of heap; with these limits 1 MB (measured).
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    maxFragments: 64,
    maxBufferedChunks: 1_024,
  });
  let strangers = 0;

  const greet = async (socket: WebSocket, wire: Wire): Promise<void> => {
    const result = await handshake(socket, options);
    if (!result.ok) {
      log.warn({ reason: result.reason }, 'node refused');
      say(socket, { type: 'node.reject', reason: result.reason, message: result.message, isFinal: result.isFinal });
      socket.close(4_001, result.reason);
      return;
    }
    const { nodeId, name, protocol, generation, instanceId } = result;
    const epoch = await nextEpoch(options.redis, nodeId);
    if (socket.readyState !== socket.OPEN) return;
    const session: NodeSession = new NodeSession({
      nodeId,
      epoch,
      instanceId,
      socket,
      wire,
      events: {
        snapshot: (snapshot) => registry.observe(session, snapshot),
        liveness: (liveness) => registry.setLiveness(session, liveness),
        closed: () => {
          log.warn({ nodeId, name, epoch }, 'node gone');
          registry.remove(session);
        },
      },
      log,
    });
    registry.add(session);
    session.send({
      type: 'node.welcome',
      protocol,
      epoch,
      generation,
      statusIntervalMs: STATUS_INTERVAL_MS,
      desired: { generation: 0, isDraining: false, pinnedModels: [] },
    });
    log.info({ nodeId, name, epoch }, 'node connected');
  };

  sockets.on('connection', (socket: WebSocket, request: IncomingMessage) => {
    strangers += 1;
    socket.on('error', () => {});
    void greet(socket, request.socket)
      .catch((error: unknown) => {
        log.error({ err: error }, 'handshake failed');
        socket.terminate();
      })
      .finally(() => {
        strangers -= 1;
      });
  });

  return {
    upgrade(request: IncomingMessage, duplex: Duplex, head: Buffer): void {
      const refusal =
        request.url?.split('?')[0] !== AGENT_SOCKET_PATH
          ? '404 Not Found'
          : request.headers.origin
            ? '403 Forbidden'
            : strangers >= MAX_STRANGERS
              ? '503 Service Unavailable'
              : null;
      if (refusal) {
        duplex.end(`HTTP/1.1 ${refusal}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
        return;
      }
      sockets.handleUpgrade(request, duplex, head, (socket) => sockets.emit('connection', socket, request));
    },
  };
};

/** Never less than the clock, so that a node can also connect, and be newer than before, while Redis is away. */
const nextEpoch = async (redis: LaiRedis, nodeId: string): Promise<number> => {
  if (!isUp(redis)) return Date.now();
  return redis.nextEpoch(keys.nodeEpoch(nodeId)).then(Number, () => Date.now());
};
