import type { LoadedModel, NodeSnapshot } from '@lai/shared/node';

/** Weights are loaded whole, and context and buffers come on top; a tenth and 256 MiB is the usual surcharge at small contexts. */
const OVERHEAD_FACTOR = 1.1;
const OVERHEAD_BYTES = 256 * 1024 * 1024;

export type Fit =
  | { readonly kind: 'fits' }
  /** Fits once idle models are gone; the runtime sends them away by itself. */
  | { readonly kind: 'fits_after_eviction'; readonly evictBytes: number }
  | { readonly kind: 'does_not_fit'; readonly needBytes: number; readonly haveBytes: number };

/** A load that ran out of memory is not tried again before the free memory is another by this much. */
const CHANGE_THAT_MATTERS_BYTES = 1_000_000_000;

/** What loads of this model on this node have taught. */
export interface Learned {
  readonly needBytes: number | null;
  readonly freeBytesAtLastShortage: number | null;
}

const nothing: Learned = { needBytes: null, freeBytesAtLastShortage: null };

/**
 * Would the model's load find room? Counts what is truly free, so what games and other programs hold is out of reach. A node that
 * cannot tell is believed to have room: its runtime knows better than we do.
 */
export const fitOf = (model: LoadedModel, snapshot: NodeSnapshot, learned: Learned = nothing): Fit => {
  const { totalBytes, freeBytes } = roomOf(snapshot);
  if (model.sizeBytes === null || totalBytes === null || freeBytes === null) return { kind: 'fits' };
  const needBytes = learned.needBytes ?? model.sizeBytes * OVERHEAD_FACTOR + OVERHEAD_BYTES;
  if (
    learned.freeBytesAtLastShortage !== null &&
    Math.abs(freeBytes - learned.freeBytesAtLastShortage) <= CHANGE_THAT_MATTERS_BYTES
  ) {
    return { kind: 'does_not_fit', needBytes: Math.max(needBytes, freeBytes), haveBytes: freeBytes };
  }
  if (needBytes <= freeBytes) return { kind: 'fits' };
  const evictable = snapshot.models.filter((other) => other.state === 'warm' && other.inFlight === 0 && !other.isPinned);
  // Without a GPU a model holds main memory, and how much of it nobody tells: its size on disk is the best guess.
  const heldBytes = (other: LoadedModel) => (snapshot.gpus.length === 0 ? null : other.vramBytes) ?? other.sizeBytes ?? 0;
  const evictableBytes = evictable.reduce((sum, other) => sum + heldBytes(other), 0);
  const haveBytes = freeBytes + evictableBytes;
  return needBytes <= haveBytes
    ? { kind: 'fits_after_eviction', evictBytes: needBytes - freeBytes }
    : { kind: 'does_not_fit', needBytes, haveBytes };
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
