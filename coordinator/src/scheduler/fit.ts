import type { LoadedModel, NodeSnapshot } from '@lai/shared/node';

/** Weights are loaded whole, and context and buffers come on top; a tenth and 256 MiB is the usual surcharge at small contexts. */
const OVERHEAD_FACTOR = 1.1;
const OVERHEAD_BYTES = 256 * 1024 * 1024;

export type Fit =
  | { readonly kind: 'fits' }
  /** Fits once idle models are gone; the runtime sends them away by itself. */
  | { readonly kind: 'fits_after_eviction'; readonly evictBytes: number }
  | { readonly kind: 'does_not_fit'; readonly needBytes: number; readonly haveBytes: number };

/**
 * Would the model's load find room? Counts what is truly free, so what games and other programs hold is out of reach. A node that
 * cannot tell is believed to have room: its runtime knows better than we do.
 */
export const fitOf = (model: LoadedModel, snapshot: NodeSnapshot): Fit => {
  const { totalBytes, freeBytes } = roomOf(snapshot);
  if (model.sizeBytes === null || totalBytes === null || freeBytes === null) return { kind: 'fits' };
  const needBytes = model.sizeBytes * OVERHEAD_FACTOR + OVERHEAD_BYTES;
  if (needBytes <= freeBytes) return { kind: 'fits' };
  const evictable = snapshot.models.filter((other) => other.state === 'warm' && other.inFlight === 0 && !other.isPinned);
  const evictableBytes = evictable.reduce((sum, other) => sum + (other.vramBytes ?? other.sizeBytes ?? 0), 0);
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
