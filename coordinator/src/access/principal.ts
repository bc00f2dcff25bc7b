import type { Scope } from '@lai/shared/admin-api';

export type { Scope } from '@lai/shared/admin-api';

/** Who a request comes from, as far as it matters for what it may do. */
export interface Principal {
  /** Of the key, or of the user who has signed in. */
  readonly keyId: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Names, or beginnings with a star; null means every model. */
  readonly models: readonly string[] | null;
}
