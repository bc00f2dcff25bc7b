import type { Happening } from '../history.ts';
import type { World } from '../world.ts';

/** What must hold in every run. One watch is made per run; see README.md for how to add one. */
export interface Invariant {
  /** Short; violations are reported under it. */
  readonly name: string;
  watch(world: World, violated: (what: string) => void): Watch;
}

export interface Watch {
  /** Everything that happens, when it happens. */
  see?(happening: Happening): void;
  /** Twice a second of virtual time. */
  look?(): void;
  /** All requests are over, all troubles too, and the longest of leases and settling has passed. */
  atRest?(): void;
}
