import { isUp, type LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';

/** A slot on a node, taken for one attempt. */
export interface Lease {
  readonly id: string;
  readonly nodeId: string;
  /** The node's connection that it is for. With the next one it is void: whatever used it has ended. */
  readonly epoch: number;
  readonly model: string;
}

export interface LeaseRequest extends Lease {
  readonly nodeSlots: number;
  readonly modelSlots: number;
}

/** `stale`: the node has connected anew since. The counts are of everybody's leases, this one included if it was taken. */
export interface LeaseAnswer {
  readonly kind: 'taken' | 'full' | 'stale';
  readonly nodeTaken: number;
  readonly modelTaken: number;
}

/** Where all replicas count slots. Each call is atomic; each throws when the store cannot be asked. */
export interface LeaseStore {
  isUp(): boolean;
  onUp(listener: () => void): void;
  claim(request: LeaseRequest, ttlMs: number): Promise<LeaseAnswer>;
  renew(lease: Lease, ttlMs: number): Promise<void>;
  release(lease: Lease): Promise<void>;
}

const KINDS = new Map([
  [1, 'taken'],
  [0, 'full'],
  [-1, 'stale'],
] as const);

export const redisLeaseStore = (redis: LaiRedis): LeaseStore => ({
  isUp: () => isUp(redis),
  onUp: (listener) => void redis.on('ready', listener),
  claim: async (request, ttlMs) => {
    const { id, nodeId, model, nodeSlots, modelSlots, epoch } = request;
    const [code, nodeTaken, modelTaken] = await redis.claimLease(
      keys.nodeLeases(nodeId, epoch),
      keys.modelLeases(nodeId, epoch, model),
      keys.nodeEpoch(nodeId),
      id,
      ttlMs,
      nodeSlots,
      modelSlots,
      String(epoch),
    );
    return { kind: KINDS.get(code) ?? 'full', nodeTaken, modelTaken };
  },
  renew: async ({ id, nodeId, epoch, model }, ttlMs) => {
    await redis.renewLease(keys.nodeLeases(nodeId, epoch), keys.modelLeases(nodeId, epoch, model), id, ttlMs);
  },
  release: async ({ id, nodeId, epoch, model }) => {
    await redis.releaseLease(keys.nodeLeases(nodeId, epoch), keys.modelLeases(nodeId, epoch, model), id);
  },
});
