import type { Generated, Insertable, Kysely, Selectable } from 'kysely';

/** Lasting truth: what must survive Redis. Times are epoch milliseconds, booleans 0 or 1, lists and objects JSON text. */
export interface Tables {
  settings: { name: string; value: string };
  api_keys: {
    id: string;
    name: string;
    hash: string;
    prefix: string;
    scopes: string;
    /** JSON list of names and `prefix*` patterns; null means every model. */
    models: Generated<string | null>;
    is_enabled: Generated<number>;
    created_at_ms: number;
    expires_at_ms: number | null;
    revoked_at_ms: number | null;
    last_used_at_ms: Generated<number | null>;
    /** The secret before the last rotation, while it may still be used. */
    previous_hash: Generated<string | null>;
    previous_until_ms: Generated<number | null>;
  };
  registration_tokens: {
    id: string;
    hash: string;
    label: Generated<string>;
    created_by: Generated<string>;
    created_at_ms: number;
    expires_at_ms: number;
    revoked_at_ms: Generated<number | null>;
    node_group: Generated<string>;
    max_uses: Generated<number>;
    uses_left: number;
    needs_approval: Generated<number>;
    /** Times that somebody showed the right secret when the token was worth nothing any more. */
    refused_uses: Generated<number>;
  };
  nodes: {
    id: string;
    name: string;
    public_key: string;
    state: Generated<NodeState>;
    state_reason: Generated<string | null>;
    node_group: Generated<string>;
    token_id: Generated<string | null>;
    /** The last count that was given out, or -1 after an operator's approval: the next count shown is taken as it is. */
    generation: Generated<number>;
    /** 1 as soon as the node has shown that it kept the last count. */
    is_generation_confirmed: Generated<number>;
    created_at_ms: number;
    revoked_at_ms: number | null;
    last_connected_at_ms: Generated<number | null>;
    last_address: Generated<string | null>;
    last_transport: Generated<Transport | null>;
    /** What operators want of it, as JSON (`NodeDesired`); null as long as nobody wanted anything. */
    desired: Generated<string | null>;
  };
  /** Why requests went where they went; `explanation` is JSON, kept for a day. */
  explanations: {
    request_id: string;
    at_ms: number;
    explanation: string;
  };
  users: {
    id: string;
    /** As typed at sign-in, in small letters. */
    name: string;
    password_hash: string;
    role: UserRole;
    is_enabled: Generated<number>;
    created_at_ms: number;
    last_sign_in_at_ms: Generated<number | null>;
  };
  audit_log: {
    seq: number;
    at_ms: number;
    actor: string;
    action: string;
    object: string;
    detail: string;
    origin: string;
    previous_hash: string;
    hash: string;
  };
}

/** Admins manage; viewers look. */
export type UserRole = 'admin' | 'viewer';

/** Pending: waits for an operator. Locked: two machines have used its identity. */
export type NodeState = 'pending' | 'approved' | 'revoked' | 'locked';

/** How a node's socket reached us: encrypted (by us or by a trusted proxy), from this machine, or in the clear over a network. */
export type Transport = 'tls' | 'loopback' | 'plain';

export type Database = Kysely<Tables>;

export type ApiKeyRow = Selectable<Tables['api_keys']>;
export type NewApiKeyRow = Insertable<Tables['api_keys']>;
export type RegistrationTokenRow = Selectable<Tables['registration_tokens']>;
export type NewRegistrationTokenRow = Insertable<Tables['registration_tokens']>;
export type NodeRow = Selectable<Tables['nodes']>;
export type NewNodeRow = Insertable<Tables['nodes']>;
export type UserRow = Selectable<Tables['users']>;
export type NewUserRow = Insertable<Tables['users']>;
export type AuditRow = Selectable<Tables['audit_log']>;
