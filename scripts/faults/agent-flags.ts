import { HEAP_FLAGS } from '../../agent/src/heap-flags.ts';

/**
 * `small`: as an installed service starts the agent. `quick`: V8's own settings, with which a start takes half the CPU; for faults that
 * kill agents by the hundred.
 */
export const AGENT_FLAGS = { small: HEAP_FLAGS, quick: ['--disable-warning=ExperimentalWarning'] } as const;
