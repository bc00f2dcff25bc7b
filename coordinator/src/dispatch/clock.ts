/**
 * Time as dispatching sees it; the simulation (scripts/simulate) brings its own. Whatever is waited for in this process goes by `nowMs`,
 * because the machine's clock may be set by hours meanwhile; what others read or have written goes by `wallMs`.
 */
export interface Clock {
  /** Whole milliseconds that only grow. Close to the epoch's, and of no meaning to anybody else. */
  nowMs(): number;
  /** Epoch milliseconds by the machine's clock, which may jump. */
  wallMs(): number;
  /** Calls once, later; the returned function calls it off. */
  after(ms: number, call: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => Math.floor(performance.timeOrigin + performance.now()),
  wallMs: () => Date.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

/** When a moment of this process is, or was, for everybody. */
export const toWallMs = (clock: Clock, atMs: number): number => atMs + clock.wallMs() - clock.nowMs();

/** When a moment that others have written down is, for this process. */
export const fromWallMs = (clock: Clock, atMs: number): number => atMs + clock.nowMs() - clock.wallMs();

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
