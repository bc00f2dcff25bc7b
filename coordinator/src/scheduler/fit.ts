import type { LoadedModel, NodeSnapshot } from '@lai/shared/node';

/** Weights are loaded whole; context and buffers come on top. A tenth for the context where the node does not tell what it takes. */
const USUAL_CONTEXT_SHARE = 0.1;
const OVERHEAD_BYTES = 256 * 1024 * 1024;

export type Fit =
  | { readonly kind: 'fits' }
  /** Fits once idle models are gone; the runtime sends them away by itself. */
  | { readonly kind: 'fits_after_eviction'; readonly evictBytes: number }
  | { readonly kind: 'does_not_fit'; readonly needBytes: number; readonly haveBytes: number };

/** A load that ran out of memory is not tried again, anywhere, unless there is more room than there was by this much. */
const CHANGE_THAT_MATTERS_BYTES = 1_000_000_000;

export interface Learned {
  /** What a load of this model took on this node. */
  readonly needBytes: number | null;
  /** Room in which a load of this model ran out of memory, on whatever node. */
  readonly shortageBytes: number | null;
}

const nothing: Learned = { needBytes: null, shortageBytes: null };

/**
 * Would the model's load find room? Counts what is truly free, so what games and other programs hold is out of reach. A node that
 * cannot tell is believed to have room: its runtime knows better than we do.
 */
export const fitOf = (model: LoadedModel, snapshot: NodeSnapshot, learned: Learned = nothing): Fit => {
  const { totalBytes, freeBytes } = roomOf(snapshot);
  const needBytes = (isPossible(learned.needBytes, totalBytes) ? learned.needBytes : null) ?? estimatedNeedBytes(model);
  if (needBytes === null || totalBytes === null || freeBytes === null) return { kind: 'fits' };
  const haveBytes = freeBytes + evictableBytes(snapshot);
  const isShort = learned.shortageBytes !== null && haveBytes - learned.shortageBytes <= CHANGE_THAT_MATTERS_BYTES;
  if (isShort) return { kind: 'does_not_fit', needBytes: Math.max(needBytes, haveBytes), haveBytes };
  if (needBytes <= freeBytes) return { kind: 'fits' };
  return needBytes <= haveBytes
    ? { kind: 'fits_after_eviction', evictBytes: needBytes - freeBytes }
    : { kind: 'does_not_fit', needBytes, haveBytes };
};

/** It was loaded, so it fits on an empty card. */
const isPossible = (learnedBytes: number | null, totalBytes: number | null): boolean =>
  learnedBytes === null || totalBytes === null || learnedBytes <= totalBytes;

/** What its load will take, by what is known without having seen one; null when not even its size is. */
export const estimatedNeedBytes = ({ sizeBytes, contextBytes }: LoadedModel): number | null =>
  sizeBytes === null ? null : sizeBytes + Math.max(sizeBytes * USUAL_CONTEXT_SHARE, contextBytes ?? 0) + OVERHEAD_BYTES;

const evictableBytes = ({ models, gpus }: NodeSnapshot): number => {
  const evictable = models.filter((other) => other.state === 'warm' && other.inFlight === 0 && !other.isPinned);
  // Without a GPU a model holds main memory, and how much of it nobody tells: its size on disk is the best guess.
  const heldBytes = (other: LoadedModel) => (gpus.length === 0 ? null : other.vramBytes) ?? other.sizeBytes ?? 0;
  return evictable.reduce((sum, other) => sum + heldBytes(other), 0);
};

/** All GPUs together, as engines split a model over them; main memory where there is no GPU. */
const roomOf = ({ gpus, memory }: NodeSnapshot): { totalBytes: number | null; freeBytes: number | null } => {
  if (gpus.length === 0) return memory;
  const sum = (values: (number | null)[]) =>
    values.reduce<number | null>((total, value) => (total === null || value === null ? null : total + value), 0);
  return { totalBytes: sum(gpus.map((gpu) => gpu.vramTotalBytes)), freeBytes: sum(gpus.map((gpu) => gpu.vramFreeBytes)) };
};

/** Free GPU memory as the fit counts it; null when the node cannot tell. */
export const freeRoomOf = (snapshot: NodeSnapshot): number | null => roomOf(snapshot).freeBytes;

/**
 * What a load could have at most: idle models sent away, and none of those there that were being loaded beside it. Null when the node
 * cannot tell.
 */
export const mostRoomOf = (snapshot: NodeSnapshot, beside: ReadonlySet<string> = new Set()): number | null => {
  const { totalBytes, freeBytes } = roomOf(snapshot);
  if (totalBytes === null || freeBytes === null) return freeBytes;
  const loading = snapshot.models.filter(({ id }) => beside.has(id));
  const takenBytes = loading.reduce((sum, model) => sum + (estimatedNeedBytes(model) ?? 0), 0);
  return takenBytes === 0
    ? freeBytes + evictableBytes(snapshot)
    : Math.min(totalBytes, freeBytes + evictableBytes(snapshot) + takenBytes);
};
