import type { FleetNode } from '@lai/shared/fleet-api';
import { withoutLatest } from '@lai/shared/model-name';
import type { LoadedModel, ModelPull, ModelState } from '@lai/shared/node';
import { stateOfLetter } from '../../parts/model-state.ts';

export interface CellState {
  /** Null: the machine does not have it. */
  readonly state: ModelState | null;
  /** As the machine tells it; null for what only lies on its disk. */
  readonly model: LoadedModel | null;
  readonly pull: ModelPull | null;
  /** It is away: this is what it said last. */
  readonly isStale: boolean;
}

/** Of one model on one machine: what the feed tells now, else what lay on the disk when the matrix was asked for. Pure. */
export const cellState = (node: FleetNode | undefined, id: string, letter: string | undefined): CellState => {
  const model = node?.report?.models.find((each) => withoutLatest(each.id) === id) ?? null;
  const pull = node?.report?.pulls?.find((each) => withoutLatest(each.model) === id) ?? null;
  const onDisk = stateOfLetter(letter);
  // Whatever was in memory then and is not told of now has left it.
  const state = model?.state ?? (onDisk === null ? null : 'cold');
  return { state, model, pull, isStale: node?.liveness !== 'alive' };
};
