/**
 * Every Redis key of ours (BullMQ names its own below QUEUE_PREFIX). Braces are Redis Cluster's hash tags: what one script touches must
 * live in one slot, so everything about a node shares the node's tag.
 */
export const QUEUE_PREFIX = 'lai';

export const keys = {
  /** STRING, random. Gone or changed means that Redis lost its memory and everything live must be told again. */
  memory: 'lai:memory',
  /** STRING, JSON of the node's record; expires when its owner stops renewing it. */
  node: (nodeId: string) => `lai:{node:${nodeId}}:record`,
  /** STRING, the epoch of the node's newest connection; never goes down. */
  nodeEpoch: (nodeId: string) => `lai:{node:${nodeId}}:epoch`,
  /** ZSET, lease id → expiry (ms): all attempts over one connection of the node. What ran over an earlier one has ended. */
  nodeLeases: (nodeId: string, epoch: number) => `lai:{node:${nodeId}}:leases:${epoch}`,
  /** ZSET, lease id → expiry (ms): attempts on one model of the node, over one connection. */
  modelLeases: (nodeId: string, epoch: number, model: string) => `lai:{node:${nodeId}}:leases:${epoch}:${model}`,
  /** SET of node ids that have a record or had one recently. */
  nodes: 'lai:nodes',
  /** ZSET, fingerprint → strikes; ZSET, fingerprint → when they are forgotten (ms); ZSET, change that was counted → likewise. */
  strikes: 'lai:{strikes}:counts',
  strikesUntil: 'lai:{strikes}:until',
  strikesTold: 'lai:{strikes}:told',
  /** HASH, model → learned figures of the node (JSON). */
  figures: (nodeId: string) => `lai:{node:${nodeId}}:figures`,
  /** STRING, replica that has asked for a cold load of the model; one in the fleet at a time. */
  load: (model: string) => `lai:load:${model}`,
  /** HASH, command id → what operators told a node to do with a model, and how far it is (JSON). */
  commands: 'lai:commands',
  /** HASH: an asynchronous job, see jobs/job-store.ts. */
  job: (jobId: string) => `lai:{job:${jobId}}`,
  /** ZSET, job id → when it was submitted (ms): jobs that have not ended. */
  openJobs: 'lai:jobs:open',
  /** ZSET, job id and bytes → when it was submitted (ms), and STRING, the sum of the bytes: one API key's jobs, in the slot of
   * `openJobs`; see list-job.lua. */
  jobsOfKey: (keyId: string) => `{lai:jobs:open}:of:${keyId}`,
  jobBytesOfKey: (keyId: string) => `{lai:jobs:open}:bytes:${keyId}`,
  /** ZSET, job id → when to try next (ms): ended jobs whose webhook has not been told. */
  webhooks: 'lai:jobs:webhooks',
  /** STRING: one replica at a time tells a webhook. */
  webhookClaim: (jobId: string) => `lai:{job:${jobId}}:webhook`,
  /** STRING, JSON of a session of the dashboard; the name is a hash of what the browser holds. Expires by itself. */
  session: (digest: string) => `lai:{session:${digest}}`,
  /** ZSET, digest → when it is over at the latest (ms): a user's sessions. */
  userSessions: (userId: string) => `lai:{user:${userId}}:sessions`,
  /** STRING, count: sign-ins that failed for an account or from an address (hashed). */
  signInFailures: (digest: string) => `lai:{sign-in:${digest}}`,
  /** STRING: somebody has signed in to an account from an address not long ago (hashed). */
  knownPlace: (digest: string) => `lai:{known-place:${digest}}`,
  /** ZSET, replica id → when it was last heard of (ms). */
  replicas: 'lai:replicas',
  /** Pub/sub: frames and messages for one replica. */
  replicaChannel: (replicaId: string) => `lai:channel:replica:${replicaId}`,
  /** Pub/sub: a slot came free somewhere (node id). */
  wakeChannel: 'lai:channel:wake',
  /** Pub/sub: an API key or a node may have lost its right. */
  revokedChannel: 'lai:channel:revoked',
  /** Pub/sub: node records as they change. */
  nodeChannel: 'lai:channel:nodes',
} as const;

/** One queue per target. Names are hashed to keep client input out of key names; the tag keeps a queue's keys in one cluster slot. */
export const queueName = (digest: string): string => `{q-${digest}}`;
