import type { Capability } from '@lai/shared/node';

/** What a request needs of the model that answers it. All requests of one target are the same to the scheduler. */
export interface Target {
  /** A model's name, or `auto` for any that can do it. */
  readonly model: string;
  readonly capabilities: readonly Capability[];
  /** Tokens that prompt and answer need at least; estimated. */
  readonly contextTokens: number;
}

export const AUTO = 'auto';
