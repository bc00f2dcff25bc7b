import { estimatedNeedBytes } from '@lai/shared/model-need';
import type { LoadedModel, NodeSnapshot } from '@lai/shared/node';
import { machineRoom } from '@lai/shared/room';
import { type FleetNode, stateOf } from './fleet.ts';

/** Of a card: a desktop holds less. Where somebody holds more, it is in use, and no engine is asked to squeeze in beside. */
const FOREIGN_SHARE = 0.25;
/** A load that ran out of memory is not tried again, anywhere, unless there is more room than there was by this much. */
const CHANGE_THAT_MATTERS_BYTES = 1_000_000_000;

export type Fit =
  | { readonly kind: 'fits' }
  /** Fits once idle models are gone; the node sends them away by itself. */
  | { readonly kind: 'fits_after_eviction'; readonly evictBytes: number }
  /** Fits once models that are in use are gone as well: somebody has to see to it that they are left alone. */
  | { readonly kind: 'fits_after_drain'; readonly inUse: readonly string[] }
  /** Will never fit whole; worth a try all the same, as an engine may keep a part in main memory, and be slower for it. */
  | { readonly kind: 'fits_in_part'; readonly missingShare: number }
  | { readonly kind: 'does_not_fit'; readonly needBytes: number; readonly haveBytes: number }
  /** A load ran out of memory with as much room as there is here, or more. */
  | { readonly kind: 'ran_out'; readonly hadBytes: number }
  /** Not even if the machine were empty. */
  | { readonly kind: 'too_large'; readonly needBytes: number; readonly haveBytes: number };

/**
 * Would the model's load find room? Counts what is truly free, so what games and other programs hold is out of reach. Memory that a node
 * does not tell of is no room (`machineRoom`); a model of unknown size is believed to fit, as its runtime knows better than we do.
 */
export const fitOf = (model: LoadedModel, node: FleetNode): Fit => {
  const { snapshot } = node;
  const room = roomFor(model, node);
  const needBytes = needOf(model, node, room.totalBytes);
  if (needBytes === null) return { kind: 'fits' };
  const { totalBytes, freeBytes, haveBytes, drainedBytes } = room;
  const shortageBytes = node.shortageBytes(model);
  const ranOut = (roomBytes: number) => shortageBytes !== null && roomBytes - shortageBytes <= CHANGE_THAT_MATTERS_BYTES;
  if (!ranOut(haveBytes)) {
    if (needBytes <= freeBytes) return { kind: 'fits' };
    if (needBytes <= haveBytes) return { kind: 'fits_after_eviction', evictBytes: needBytes - freeBytes };
  }
  if (needBytes <= drainedBytes && !ranOut(drainedBytes)) return { kind: 'fits_after_drain', inUse: room.inUse };
  if (shortageBytes !== null && ranOut(haveBytes)) {
    // What was sent away a moment ago, or for a load that is under way, may be shown as taken, still: that is no moment to judge.
    const mayChange = room.isChanging && !ranOut(totalBytes);
    return mayChange ? { kind: 'does_not_fit', needBytes, haveBytes } : { kind: 'ran_out', hadBytes: shortageBytes };
  }
  const spill = spillOf(model, snapshot);
  const weightBytes = model.sizeBytes ?? needBytes;
  if (weightBytes > totalBytes + spill.totalBytes)
    return { kind: 'too_large', needBytes, haveBytes: totalBytes + spill.totalBytes };
  const isLeftToUs = room.foreignBytes <= FOREIGN_SHARE * totalBytes;
  // Waiting makes no more room. The engine may find a way: main memory, or less context than we expect.
  return isLeftToUs && (needBytes <= haveBytes + spill.freeBytes || weightBytes <= haveBytes)
    ? { kind: 'fits_in_part', missingShare: (needBytes - haveBytes) / needBytes }
    : { kind: 'does_not_fit', needBytes, haveBytes };
};

/** What a node has for a model that is not loaded there. */
interface Room {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** With idle models sent away. */
  readonly haveBytes: number;
  /** With all of ours sent away that are not pinned. */
  readonly drainedBytes: number;
  /** Of these, those that are not idle. */
  readonly inUse: readonly string[];
  /** Held by other programs. */
  readonly foreignBytes: number;
  /** Another model is being loaded, or one has come or gone a moment ago. */
  readonly isChanging: boolean;
}

const roomFor = (model: LoadedModel, node: FleetNode): Room => {
  const { snapshot } = node;
  const { totalBytes, freeBytes: shownBytes } = machineRoom(snapshot);
  const others = snapshot.models.filter(({ id }) => id !== model.id);
  // What is on its way into memory will take all that it needs, whatever is to be seen of it yet.
  const isComing = (other: LoadedModel) => stateOf(node, other) === 'loading';
  const takesBytes = (other: LoadedModel) => {
    if (isComing(other)) return Math.max(needOf(other, node, totalBytes) ?? 0, heldBytes(other, snapshot));
    return isHeld(other) ? heldBytes(other, snapshot) : 0;
  };
  const sumOf = (models: readonly LoadedModel[]) => models.reduce((sum, other) => sum + takesBytes(other), 0);
  const isInUse = (other: LoadedModel) =>
    other.inFlight > 0 || (node.leased.byModel.get(other.id) ?? 0) > 0 || node.isWanted(other.id);
  const isChanging = others.some(isComing) || !node.isSettled;
  const freeBytes = isChanging ? Math.max(0, Math.min(shownBytes, totalBytes - sumOf(others))) : shownBytes;
  const ours = others.filter((other) => !other.isPinned && (isHeld(other) || isComing(other)));
  const idle = ours.filter((other) => other.state === 'warm' && !isInUse(other));
  return {
    ...{ totalBytes, freeBytes, haveBytes: freeBytes + sumOf(idle), drainedBytes: freeBytes + sumOf(ours) },
    inUse: ours.filter((other) => !idle.includes(other)).map(({ id }) => id),
    foreignBytes: totalBytes - freeBytes - sumOf(snapshot.models),
    isChanging,
  };
};

/** What was loaded once fits on an empty card; anything else was learned of something else. */
const needOf = (model: LoadedModel, node: FleetNode, totalBytes: number): number | null => {
  const learnedBytes = node.figures(model.id).needBytes;
  return learnedBytes !== null && learnedBytes <= totalBytes ? learnedBytes : estimatedNeedBytes(model);
};

const isHeld = ({ state }: LoadedModel): boolean => state !== 'cold' && state !== 'failed';

/** What each model holds, in bytes by id. Without those that are on their way and may take more yet. */
export const holdingsOf = (snapshot: NodeSnapshot): ReadonlyMap<string, number> =>
  new Map(
    snapshot.models
      .filter((model) => isHeld(model) && model.state !== 'loading')
      .map((model) => [model.id, heldBytes(model, snapshot)]),
  );

/** More memory has come into use by models that were not there before than may be overlooked. */
export const hasCome = (was: ReadonlyMap<string, number>, is: ReadonlyMap<string, number>): boolean =>
  [...is].reduce((sum, [id, bytes]) => sum + (was.has(id) ? 0 : bytes), 0) > CHANGE_THAT_MATTERS_BYTES;

/** Without a GPU a model holds main memory, and how much of it nobody tells: its size on disk is the best guess. */
const heldBytes = (model: LoadedModel, { gpus }: NodeSnapshot): number =>
  // Several names of one copy in memory count once.
  model.sharedAs !== undefined && model.sharedAs !== model.id
    ? 0
    : ((gpus.every(({ isLost }) => isLost) ? null : model.vramBytes) ?? model.sizeBytes ?? 0);

/** Main memory for what the GPU has no room for, where there is a GPU with memory of its own and an engine that can do that. */
const spillOf = ({ runtime }: LoadedModel, { gpus, memory, runtimes }: NodeSnapshot): NodeSnapshot['memory'] => {
  const canSpill = runtimes.some(({ kind, spillsToMemory }) => kind === runtime && spillsToMemory === true);
  // Where no card tells its size, main memory is the measure already.
  return canSpill &&
    gpus.some((gpu) => !gpu.isLost && gpu.vramTotalBytes !== null) &&
    !gpus.some(({ isUnifiedMemory }) => isUnifiedMemory)
    ? memory
    : { totalBytes: 0, freeBytes: 0 };
};

/** Free memory as the fit counts it; null when the node cannot tell, as nothing is learned from less than the whole. */
export const freeRoomOf = (snapshot: NodeSnapshot): number | null => {
  const { isWhole, freeBytes } = machineRoom(snapshot);
  return isWhole ? freeBytes : null;
};

/**
 * What a load could have at most: idle models sent away, and what models that have left a moment ago may be shown to hold, still. Null
 * when the node cannot tell.
 */
export const mostRoomOf = (snapshot: NodeSnapshot, leaving: ReadonlySet<string> = new Set()): number | null => {
  const { isWhole, totalBytes, freeBytes } = machineRoom(snapshot);
  if (!isWhole) return null;
  const idle = snapshot.models.filter((other) => other.state === 'warm' && other.inFlight === 0 && !other.isPinned);
  const haveBytes = freeBytes + idle.reduce((sum, model) => sum + heldBytes(model, snapshot), 0);
  const left = snapshot.models.filter(({ id }) => leaving.has(id));
  const takenBytes = left.reduce((sum, model) => sum + (estimatedNeedBytes(model) ?? 0), 0);
  return takenBytes === 0 ? haveBytes : Math.min(totalBytes, haveBytes + takenBytes);
};
