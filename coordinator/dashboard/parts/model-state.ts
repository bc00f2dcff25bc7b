import type { ModelState } from '@lai/shared/node';
import type { IconName } from './icon.tsx';

export interface ModelLook {
  readonly icon: IconName;
  readonly word: string;
  readonly tone: string;
}

const LOOKS: Record<ModelState, ModelLook> = {
  warm: { icon: 'flame', word: 'warm', tone: 'text-ok' },
  loading: { icon: 'hourglass', word: 'loading', tone: 'text-wait' },
  cold: { icon: 'snow', word: 'cold', tone: 'text-off' },
  draining: { icon: 'wait', word: 'finishing', tone: 'text-off' },
  unloading: { icon: 'wait', word: 'unloading', tone: 'text-off' },
  failed: { icon: 'bad', word: 'failed', tone: 'text-bad' },
};

export const modelLook = (state: ModelState): ModelLook => LOOKS[state];

/** Of the matrix: one letter per model and machine; STATE_LETTERS of the contract. */
const LETTERS: Record<string, ModelState> = {
  ...{ c: 'cold', l: 'loading', w: 'warm', d: 'draining', u: 'unloading', f: 'failed' },
};
export const stateOfLetter = (letter: string | undefined): ModelState | null => LETTERS[letter ?? '-'] ?? null;
