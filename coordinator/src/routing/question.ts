import type { Needs } from './route.ts';
import type { Preference } from './rules.ts';
import type { Signals } from './signals.ts';

/** A request, as far as it matters for where it may go. */
export interface RoutingQuestion {
  /** The model as the client wrote it; empty for the default. */
  readonly asked: string;
  readonly needs: Needs;
  readonly signals: Signals;
  readonly caller: {
    readonly staysHome: boolean;
    readonly prefer: Preference | null;
    /** The provider that the caller chose for `auto`; null for none. */
    readonly defaultProvider: { readonly providerId: string; readonly model: string | null } | null;
    /** May the caller use this model? */
    readonly mayUse: (model: string) => boolean;
  };
}
