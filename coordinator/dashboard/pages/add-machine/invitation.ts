import type { TokenView } from '@lai/shared/admin-api';

/** A token that was made, with the lines that hold it: the only copy there is, kept as long as the page lives. */
export interface Invitation {
  readonly token: TokenView;
  readonly warnings: readonly string[];
  readonly lines: Readonly<Record<string, { readonly command: string | null; readonly problem: string | null }>>;
  /** Why nothing can be installed from here. */
  readonly missing: string | null;
}

let kept: Invitation | null = null;
const listeners = new Set<() => void>();

export const invitation = {
  current: (): Invitation | null => kept,
  subscribe: (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

export const keepInvitation = (next: Invitation | null): void => {
  kept = next;
  for (const listener of listeners) listener();
};
