/** A model that is in memory and that nobody uses now. */
export interface IdleModel {
  readonly id: string;
  readonly heldBytes: number;
  readonly lastUsedAtMs: number;
}

/**
 * Which models to send away, longest unused first, until a load of `needBytes` finds room; all of them when that is not enough, since an
 * engine may do with less.
 */
export const toSendAway = (idle: readonly IdleModel[], needBytes: number, freeBytes: number): string[] => {
  const leaving: string[] = [];
  let roomBytes = freeBytes;
  for (const { id, heldBytes } of idle.toSorted((a, b) => a.lastUsedAtMs - b.lastUsedAtMs)) {
    if (roomBytes >= needBytes) break;
    roomBytes += heldBytes;
    leaving.push(id);
  }
  return leaving;
};
