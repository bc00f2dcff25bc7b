import { useSyncExternalStore } from 'react';

let offsetMs = 0;
let nowMs = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

/** The coordinator's time: a browser's clock may be wrong. */
export const serverNow = (): number => Date.now() + offsetMs;

export const setServerTime = (serverTimeMs: number): void => {
  // A delayed message makes it seem earlier; a small difference is not worth a jump.
  if (Math.abs(serverTimeMs - serverNow()) > 1_000) offsetMs = serverTimeMs - Date.now();
};

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  nowMs = serverNow();
  timer ??= setInterval(() => {
    nowMs = serverNow();
    for (const each of listeners) each();
  }, 1_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
};

/** The coordinator's time, new every second. */
export const useNow = (): number => useSyncExternalStore(subscribe, () => nowMs);
