/** Time as dispatching sees it; the simulation (scripts/simulate) brings its own. */
export interface Clock {
  /** Epoch milliseconds. */
  nowMs(): number;
  /** Calls once, later; the returned function calls it off. */
  after(ms: number, call: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

/** Calls again and again, `everyMs` after the last call has returned. */
export const repeat = (clock: Clock, everyMs: number, call: () => void): (() => void) => {
  let cancel = () => {};
  const next = () => {
    cancel = clock.after(everyMs, () => {
      call();
      next();
    });
  };
  next();
  return () => cancel();
};
