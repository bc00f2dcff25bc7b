/**
 * One question at a time, and a good answer kept for `keepMs`, or for as long as the asker allows: for whatever is slow to ask and
 * asked by many. Bad answers are not kept, so the next asker tries again.
 */
export function remembered<T>(options: {
  ask: () => Promise<T>;
  isGood: (answer: T) => boolean;
  keepMs: number;
  nowMs?: () => number;
}): (maxAgeMs?: number) => Promise<T> {
  const nowMs = options.nowMs ?? (() => performance.now());
  let inFlight: Promise<T> | null = null;
  let last: { answer: T; atMs: number } | null = null;
  return (maxAgeMs = options.keepMs) => {
    if (last !== null && nowMs() - last.atMs < maxAgeMs) return Promise.resolve(last.answer);
    inFlight ??= options
      .ask()
      .then((answer) => {
        last = options.isGood(answer) ? { answer, atMs: nowMs() } : null;
        return answer;
      })
      .finally(() => {
        inFlight = null;
      });
    return inFlight;
  };
}
