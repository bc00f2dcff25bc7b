/**
 * Many agents in one process, as far as the coordinator can tell: the product's own connection (handshake, backoff, liveness) with nothing
 * behind it. `node light-agents.ts DATA_DIR URL COUNT PREFIX` writes the nodes into the coordinator's database and connects them; it prints
 * one line whenever all are connected and one when the first is lost.
 */
import { join } from 'node:path';
import { Connection } from '../../agent/src/connection/connection.ts';
import type { NodeCredential, NodeIdentity } from '../../agent/src/identity.ts';
import { coordinatorIdentity } from '../../coordinator/src/access/coordinator-identity.ts';
import { createLogger } from '../../coordinator/src/logger.ts';
import { openDatabase } from '../../coordinator/src/store/database.ts';
import { insertNode } from '../../coordinator/src/store/nodes.ts';
import { generateIdentityKeys } from '../../shared/src/ed25519.ts';
import type { NodeSnapshot } from '../../shared/src/node.ts';

const [, , dataDir = '', url = '', count = '0', prefix = 'light'] = process.argv;
const log = createLogger('silent');
const db = await openDatabase(join(dataDir, 'lai.sqlite'));
const { publicKey: coordinatorKey } = await coordinatorIdentity(db);
const nodes = await Promise.all(
  Array.from({ length: Number(count) }, async (_, index) => ({
    ...(await generateIdentityKeys()),
    nodeId: `node_${prefix}-${index}`,
    name: `${prefix}-${index}`,
  })),
);
await db.transaction().execute(async (trx) => {
  const nowMs = Date.now();
  for (const { nodeId, name, publicKey } of nodes)
    await insertNode(trx, { id: nodeId, name, public_key: publicKey, created_at_ms: nowMs, revoked_at_ms: null });
});
await db.destroy();

const snapshotOf = (name: string, sequence: number): NodeSnapshot => ({
  ...{ name, sequence, takenAtMs: Date.now(), agentVersion: '0.0.0', os: { platform: 'linux', release: '6', arch: 'x64' } },
  ...{ runtimes: [], gpus: [], memory: { totalBytes: 2 ** 33, freeBytes: 2 ** 32 }, modelDiskFreeBytes: null, models: [] },
  ...{ holds: [], maxConcurrent: 1, inFlight: 0 },
});

/** Kept in memory: these nodes live no longer than this process. */
const identityOf = (first: NodeCredential): NodeIdentity => {
  let credential = first;
  return {
    get credential() {
      return credential;
    },
    refresh: () => {},
    welcomed: (generation) => {
      credential = { ...credential, generation };
    },
    vouchedFor: () => {},
    tryOtherKey: () => false,
  };
};

const connected = new Set<string>();
const say = (what: 'all' | 'lost') => console.log(JSON.stringify({ what, atMs: performance.timeOrigin + performance.now() }));
for (const { nodeId, name, publicKey, privateKey } of nodes) {
  let sequence = 0;
  const connection: Connection = new Connection({
    identity: identityOf({ url, nodeId, name, publicKey, privateKey, coordinatorKey, generation: 0 }),
    agentVersion: '0.0.0',
    events: {
      opened: () => {
        connected.add(name);
        sequence += 1;
        connection.send({ type: 'node.status', snapshot: snapshotOf(name, sequence) });
        if (connected.size === nodes.length) say('all');
      },
      lost: () => {
        if (connected.size === nodes.length) say('lost');
        connected.delete(name);
      },
      message: () => {},
      data: () => {},
      refused: (message) => {
        console.error(`${name} was refused for good: ${message}`);
        process.exit(1);
      },
    },
    log,
  });
  connection.start();
}
