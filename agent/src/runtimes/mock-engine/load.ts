import type { Ticket } from './hosted-model.ts';

/** One model on its way into memory, and the request that caused it. */
export interface Load {
  readonly ticket: Ticket;
  readonly startedAtMs: number;
  /** Memory is taken and weights are being read; before that it only waits for room. */
  hasStarted: boolean;
  isWakeUp: boolean;
  isAbandoned: boolean;
  abandon: () => void;
  /** Resolves when nobody wants the load any more. */
  readonly abandoned: Promise<void>;
}

export const pause = (durationMs: number): Promise<void> =>
  durationMs <= 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, durationMs));

export const newLoad = (ticket: Ticket): Load => {
  let abandon: () => void = () => {};
  const abandoned = new Promise<void>((resolve) => {
    abandon = resolve;
  });
  const load: Load = {
    ticket,
    startedAtMs: performance.now(),
    hasStarted: false,
    isWakeUp: false,
    isAbandoned: false,
    abandon: () => {
      load.isAbandoned = true;
      abandon();
    },
    abandoned,
  };
  return load;
};
