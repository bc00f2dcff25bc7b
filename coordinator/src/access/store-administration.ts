import { randomUUID } from 'node:crypto';
import {
  type IssuedKey,
  type IssuedToken,
  type KeyChange,
  KeyRotation,
  type KeyView,
  NewKey,
  NewToken,
  NewUser,
  type NodeChange,
  type NodeEntry,
  type TokenView,
  type UserChange,
  type UserView,
} from '@lai/shared/admin-api';
import { keyFingerprint } from '@lai/shared/ed25519';
import { CodedError } from '@lai/shared/errors';
import type { NodeDesired } from '@lai/shared/node';
import type { Logger } from 'pino';
import { findApiKey, listApiKeys, replaceSecret, revokeApiKey, updateApiKey } from '../store/api-keys.ts';
import { listAuditRows } from '../store/audit-log.ts';
import type { Database } from '../store/database.ts';
import {
  deleteNode,
  desiredOf,
  findNode,
  listAllNodes,
  listNodes,
  moveNode,
  type NodeRow,
  type NodeState,
  updateNode,
} from '../store/nodes.ts';
import { findRegistrationToken, listRegistrationTokens, revokeRegistrationToken } from '../store/registration-tokens.ts';
import { deleteUser, findUser, insertUser, listUsers, updateUser } from '../store/users.ts';
import type { Administration } from './administration.ts';
import { createApiKey, newSecret } from './api-keys.ts';
import { type Actor, appendAudit, verifyAudit } from './audit.ts';
import { isSameName } from './node-name.ts';
import { hashPassword } from './passwords.ts';
import { createRegistrationToken } from './registration-tokens.ts';
import type { Revocation } from './revocations.ts';
import { forgetSetup, userView } from './sign-in.ts';
import { auditEntry, keyView, nodeEntry, tokenView } from './views.ts';

export interface AdministrationContext {
  readonly db: Database;
  readonly coordinatorKey: string;
  readonly log: Logger;
  /** Tells every replica that something lost its right, or has another one now; the change is in the database before. */
  readonly announce: (revocation: Revocation) => void;
}

/** On the database, in the name of one actor. Every change and its audit entry are one transaction. */
export const storeAdministration = (context: AdministrationContext, actor: Actor): Administration => {
  const { db, announce } = context;

  const change = async <T>(
    event: { action: string; object: string; detail?: Record<string, unknown> },
    apply: (trx: Database) => Promise<T>,
  ): Promise<T> => {
    const { result, entry } = await db.transaction().execute(async (trx) => {
      const result = await apply(trx);
      return { result, entry: await appendAudit(trx, { atMs: Date.now(), actor, ...event }) };
    });
    const { seq, hash } = entry;
    context.log.info({ audit: seq, hash, actor: actor.name, origin: actor.origin, ...event }, 'changed by an operator');
    return result;
  };

  const keyById = async (from: Database, id: string): Promise<KeyView> => {
    const row = await findApiKey(from, id);
    if (!row) throw notFound('key', id);
    return keyView(row, Date.now());
  };

  const tokenById = async (from: Database, id: string): Promise<TokenView> => {
    const row = await findRegistrationToken(from, id);
    if (!row) throw notFound('token', id);
    return tokenView(row, Date.now());
  };

  const userById = async (from: Database, id: string): Promise<UserView> => {
    const row = await findUser(from, id);
    if (!row) throw notFound('user', id);
    return userView(row);
  };

  const nodeById = async (from: Database, id: string): Promise<NodeRow> => {
    const row = await findNode(from, id);
    if (!row) throw notFound('node', id);
    return row;
  };

  const moved = async (id: string, action: string, move: { from: NodeState[]; to: NodeState }): Promise<NodeEntry> => {
    const before = await nodeById(db, id);
    const reason = `${move.to} by ${actor.name}`;
    const row = await change({ action, object: id, detail: { name: before.name, from: before.state } }, async (trx) => {
      // After an approval whatever count the node shows is taken: the operator vouches for it.
      const forgetGeneration = before.state === 'locked' && move.to === 'approved';
      if (!(await moveNode(trx, id, { ...move, reason, nowMs: Date.now(), forgetGeneration })))
        throw new CodedError('entry_not_found', { message: `The node ${before.name} is ${before.state}; nothing was changed.` });
      return nodeById(trx, id);
    });
    announce({ kind: 'node', id });
    return nodeEntry(row);
  };

  return {
    createKey: async (wish): Promise<IssuedKey> => {
      const { name, scopes, models, expiresInSeconds, expiresAtMs: saidMs } = NewKey.parse(wish);
      const nowMs = Date.now();
      const expiresAtMs = expiresInSeconds === undefined ? saidMs : nowMs + expiresInSeconds * 1_000;
      if (expiresAtMs !== null && expiresAtMs <= nowMs)
        throw new CodedError('invalid_value', { message: 'expiresAtMs: lies in the past', param: 'expiresAtMs' });
      const event = { action: 'key.create', object: name, detail: { scopes, models, expiresAtMs } };
      const issued = await change(event, async (trx) => {
        const { id, key } = await createApiKey(trx, { name, scopes, models, expiresAtMs, nowMs });
        return { key, view: await keyById(trx, id) };
      });
      announce({ kind: 'key', id: issued.view.id });
      return issued;
    },

    listKeys: async () => (await listApiKeys(db)).map((row) => keyView(row, Date.now())),

    changeKey: async (id, wish: KeyChange) => {
      const view = await change({ action: 'key.change', object: id, detail: { ...wish } }, async (trx) => {
        const isChanged = await updateApiKey(trx, id, {
          ...(wish.name === undefined ? {} : { name: wish.name }),
          ...(wish.scopes === undefined ? {} : { scopes: JSON.stringify(wish.scopes) }),
          ...(wish.models === undefined ? {} : { models: wish.models && JSON.stringify(wish.models) }),
          ...(wish.expiresAtMs === undefined ? {} : { expires_at_ms: wish.expiresAtMs }),
          ...(wish.isEnabled === undefined ? {} : { is_enabled: Number(wish.isEnabled) }),
        });
        if (!isChanged) throw notFound('key', id);
        return keyById(trx, id);
      });
      announce({ kind: 'key', id });
      return view;
    },

    rotateKey: async (id, rotation): Promise<IssuedKey> => {
      const { graceSeconds } = KeyRotation.parse(rotation);
      const { key, hash, prefix } = newSecret();
      const previousUntilMs = graceSeconds === 0 ? null : Date.now() + graceSeconds * 1_000;
      const view = await change({ action: 'key.rotate', object: id, detail: { graceSeconds } }, async (trx) => {
        if (!(await replaceSecret(trx, id, { hash, prefix, previousUntilMs }))) throw notFound('key', id);
        return keyById(trx, id);
      });
      announce({ kind: 'key', id });
      return { key, view };
    },

    revokeKey: async (id) => {
      const view = await change({ action: 'key.revoke', object: id }, async (trx) => {
        if (!(await revokeApiKey(trx, id, Date.now()))) throw notFound('key', id);
        return keyById(trx, id);
      });
      announce({ kind: 'key', id });
      return view;
    },

    createToken: async (wish): Promise<IssuedToken> => {
      const { label, group, ttlSeconds, maxUses, needsApproval } = NewToken.parse(wish);
      const coordinatorFingerprint = await keyFingerprint(context.coordinatorKey);
      const event = { action: 'token.create', object: label || 'token', detail: { group, ttlSeconds, maxUses, needsApproval } };
      const issued = await change(event, async (trx) => {
        const { id, token } = await createRegistrationToken(trx, {
          ...{ nowMs: Date.now(), coordinatorFingerprint, ttlMs: ttlSeconds * 1_000, maxUses },
          ...{ needsApproval, group, label, createdBy: actor.name },
        });
        return { token, view: await tokenById(trx, id) };
      });
      announce({ kind: 'token', id: issued.view.id });
      return issued;
    },

    listTokens: async () => (await listRegistrationTokens(db)).map((row) => tokenView(row, Date.now())),

    revokeToken: async (id) => {
      const view = await change({ action: 'token.revoke', object: id }, async (trx) => {
        if (!(await revokeRegistrationToken(trx, id, Date.now()))) throw notFound('token', id);
        return tokenById(trx, id);
      });
      announce({ kind: 'token', id });
      return view;
    },

    listNodes: async () => Promise.all((await listAllNodes(db)).map(nodeEntry)),

    approveNode: (id) => moved(id, 'node.approve', { from: ['pending', 'locked'], to: 'approved' }),

    revokeNode: (id) => moved(id, 'node.revoke', { from: ['pending', 'approved', 'locked'], to: 'revoked' }),

    changeNode: async (id, wish: NodeChange) => {
      const row = await change({ action: 'node.change', object: id, detail: { ...wish } }, async (trx) => {
        const before = await nodeById(trx, id);
        if (wish.name !== undefined) await refuseUsedName(trx, id, wish.name);
        await updateNode(trx, id, {
          name: wish.name ?? before.name,
          node_group: wish.group ?? before.node_group,
          desired: JSON.stringify(desiredAfter(desiredOf(before), wish, Date.now())),
        });
        return nodeById(trx, id);
      });
      announce({ kind: 'node', id });
      return nodeEntry(row);
    },

    removeNode: async (id) => {
      const row = await nodeById(db, id);
      await change({ action: 'node.remove', object: id, detail: { name: row.name } }, async (trx) => {
        if (!(await deleteNode(trx, id))) throw notFound('node', id);
      });
      announce({ kind: 'node', id });
      return nodeEntry(row);
    },

    createUser: async (wish) => {
      const { name, password, role } = NewUser.parse(wish);
      const id = `user_${randomUUID()}`;
      const password_hash = await hashPassword(password);
      return change({ action: 'user.create', object: id, detail: { name, role } }, async (trx) => {
        if (!(await insertUser(trx, { id, name, password_hash, role, created_at_ms: Date.now() })))
          throw new CodedError('invalid_value', { message: `name: there is a user ${name} already`, param: 'name' });
        await forgetSetup(trx);
        return userById(trx, id);
      });
    },

    listUsers: async () => (await listUsers(db)).map(userView),

    changeUser: async (id, wish: UserChange) => {
      const { role, isEnabled, password } = wish;
      const detail = {
        ...(role ? { role } : {}),
        ...(isEnabled === undefined ? {} : { isEnabled }),
        ...(password ? { password: 'changed' } : {}),
      };
      const password_hash = password === undefined ? undefined : await hashPassword(password);
      const view = await change({ action: 'user.change', object: id, detail }, async (trx) => {
        const isChanged = await updateUser(trx, id, {
          ...(role === undefined ? {} : { role }),
          ...(isEnabled === undefined ? {} : { is_enabled: Number(isEnabled) }),
          ...(password_hash === undefined ? {} : { password_hash }),
        });
        if (!isChanged) throw notFound('user', id);
        return userById(trx, id);
      });
      announce({ kind: 'session', id });
      return view;
    },

    removeUser: async (id) => {
      const view = await userById(db, id);
      await change({ action: 'user.remove', object: id, detail: { name: view.name } }, async (trx) => {
        if (!(await deleteUser(trx, id))) throw notFound('user', id);
      });
      announce({ kind: 'session', id });
      return view;
    },

    listAudit: async (page) => (await listAuditRows(db, page)).map(auditEntry),

    verifyAudit: (expected) => verifyAudit(db, expected),
  };
};

/** The generation says to a node that is connected that there is something new. */
const desiredAfter = (before: NodeDesired, wish: NodeChange, nowMs: number): NodeDesired => {
  const gaming = wish.gaming === undefined ? before.gaming : wish.gaming;
  return {
    generation: before.generation + 1,
    isDraining: wish.isDraining ?? before.isDraining,
    pinnedModels: wish.pinnedModels ?? before.pinnedModels,
    ...(gaming ? { gaming: { mode: gaming.mode, untilMs: endOf(gaming, nowMs) } } : {}),
  };
};

const endOf = (wish: { untilMs?: number | null | undefined; forSeconds?: number | undefined }, nowMs: number): number | null =>
  wish.forSeconds === undefined ? (wish.untilMs ?? null) : nowMs + wish.forSeconds * 1_000;

const refuseUsedName = async (trx: Database, id: string, name: string): Promise<void> => {
  const other = (await listNodes(trx)).find((node) => node.id !== id && isSameName(node.name, name));
  if (other)
    throw new CodedError('invalid_value', {
      message: `name: another node is called ${other.name} (${other.id}). Choose another name, or rename or remove that node first.`,
      param: 'name',
    });
};

const notFound = (what: string, id: string): CodedError =>
  new CodedError('entry_not_found', { message: `There is no ${what} ${id.slice(0, 64)} that this could be done to.` });
