import type { Gpu, NodeSnapshot } from './node.ts';

/** Memory that models of one machine may have together, in bytes. */
export interface MachineRoom {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** False where a card that answers does not tell what is free; then `freeBytes` is less than there may be. */
  readonly isWhole: boolean;
}

/**
 * All cards together, as engines split a model over them; main memory where there is no card, or none that tells its size. What is not
 * known counts for nothing: a lost card, a card of unknown size, and free memory that nobody has told. A card that shares the machine's
 * memory has what the machine has free, and counts once.
 */
export const machineRoom = ({ gpus, memory }: Pick<NodeSnapshot, 'gpus' | 'memory'>): MachineRoom => {
  const cards = gpus.filter((gpu) => !gpu.isLost && gpu.vramTotalBytes !== null);
  if (cards.length === 0) return { ...memory, isWhole: true };
  const rooms = cards.map((gpu) => roomOf(gpu, memory.freeBytes));
  const own = rooms.filter((_, at) => !cards[at]?.isUnifiedMemory);
  const shared = rooms.filter((_, at) => cards[at]?.isUnifiedMemory).toSorted((a, b) => b.totalBytes - a.totalBytes);
  const counted = [...own, ...shared.slice(0, 1)];
  return {
    totalBytes: sum(counted.map(({ totalBytes }) => totalBytes)),
    freeBytes: sum(counted.map(({ freeBytes }) => freeBytes ?? 0)),
    isWhole: rooms.every(({ freeBytes }) => freeBytes !== null) && gpus.every((gpu) => gpu.isLost || gpu.vramTotalBytes !== null),
  };
};

const roomOf = ({ vramTotalBytes, vramFreeBytes, isUnifiedMemory }: Gpu, memoryFreeBytes: number) => {
  const totalBytes = vramTotalBytes ?? 0;
  const sharedBytes = isUnifiedMemory ? Math.min(totalBytes, memoryFreeBytes) : null;
  return { totalBytes, freeBytes: vramFreeBytes ?? sharedBytes };
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
