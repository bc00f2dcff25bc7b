import type {
  AuditEntry,
  AuditVerdict,
  IssuedKey,
  IssuedToken,
  KeyChange,
  KeyRotation,
  KeyView,
  NewKey,
  NewToken,
  NewUser,
  NodeChange,
  NodeEntry,
  TokenView,
  UserChange,
  UserView,
} from '@lai/shared/admin-api';

/** What operators do to the fleet's lasting truth: behind the admin API on the database, before it over HTTP. */
export interface Administration {
  createKey(wish: NewKey): Promise<IssuedKey>;
  listKeys(): Promise<KeyView[]>;
  changeKey(id: string, change: KeyChange): Promise<KeyView>;
  rotateKey(id: string, rotation: KeyRotation): Promise<IssuedKey>;
  revokeKey(id: string): Promise<KeyView>;

  createToken(wish: NewToken): Promise<IssuedToken>;
  listTokens(): Promise<TokenView[]>;
  revokeToken(id: string): Promise<TokenView>;

  listNodes(): Promise<NodeEntry[]>;
  approveNode(id: string): Promise<NodeEntry>;
  revokeNode(id: string): Promise<NodeEntry>;
  changeNode(id: string, change: NodeChange): Promise<NodeEntry>;
  /** Forgets the node altogether; its machine can only join anew. */
  removeNode(id: string): Promise<NodeEntry>;

  createUser(wish: NewUser): Promise<UserView>;
  listUsers(): Promise<UserView[]>;
  changeUser(id: string, change: UserChange): Promise<UserView>;
  removeUser(id: string): Promise<UserView>;

  listAudit(page: { limit: number; before?: number | undefined }): Promise<AuditEntry[]>;
  verifyAudit(expected?: string): Promise<AuditVerdict>;
}
