import { useSyncExternalStore } from 'react';

/** Whose session has ended while the page was open; null while it goes on. */
let name: string | null = null;
const listeners = new Set<() => void>();

const set = (next: string | null): void => {
  name = next;
  for (const listener of listeners) listener();
};

export const signOutSeen = (whose: string): void => set(whose);
export const signInSeen = (): void => set(null);

export const useSignedOut = (): string | null =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => name,
  );
