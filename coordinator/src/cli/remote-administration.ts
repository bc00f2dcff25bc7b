import { AuditEntry, AuditVerdict, IssuedKey, IssuedToken, KeyView, NodeEntry, TokenView, UserView } from '@lai/shared/admin-api';
import { z } from 'zod';
import type { Administration } from '../access/administration.ts';

const LIMIT_MS = 10_000;
export const Problem = z.object({ error: z.object({ message: z.string() }) });

/** Asks the admin API of a running coordinator; fails in its words. */
export const adminCall =
  ({ url, key }: { url: string; key: string }) =>
  async <T>(schema: z.ZodType<T>, method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${url}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: 'error',
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    const text = await response.text();
    if (response.ok) return schema.parse(JSON.parse(text));
    throw new Error(Problem.safeParse(jsonOr(text)).data?.error.message ?? `${url} answered HTTP ${response.status}`);
  };

/** Over the admin API of a running coordinator. */
export const remoteAdministration = (place: { url: string; key: string }): Administration => {
  const call = adminCall(place);
  const at = (...pieces: string[]): string => pieces.map(encodeURIComponent).join('/');

  return {
    createKey: (wish) => call(IssuedKey, 'POST', 'keys', wish),
    listKeys: () => call(z.array(KeyView), 'GET', 'keys'),
    changeKey: (id, change) => call(KeyView, 'PATCH', at('keys', id), change),
    rotateKey: (id, rotation) => call(IssuedKey, 'POST', at('keys', id, 'rotate'), rotation),
    revokeKey: (id) => call(KeyView, 'DELETE', at('keys', id)),
    createToken: (wish) => call(IssuedToken, 'POST', 'tokens', wish),
    listTokens: () => call(z.array(TokenView), 'GET', 'tokens'),
    revokeToken: (id) => call(TokenView, 'DELETE', at('tokens', id)),
    listNodes: () => call(z.array(NodeEntry), 'GET', 'nodes'),
    approveNode: (id) => call(NodeEntry, 'POST', at('nodes', id, 'approve')),
    revokeNode: (id) => call(NodeEntry, 'POST', at('nodes', id, 'revoke')),
    changeNode: (id, change) => call(NodeEntry, 'PATCH', at('nodes', id), change),
    removeNode: (id) => call(NodeEntry, 'DELETE', at('nodes', id)),
    createUser: (wish) => call(UserView, 'POST', 'users', wish),
    listUsers: () => call(z.array(UserView), 'GET', 'users'),
    changeUser: (id, change) => call(UserView, 'PATCH', at('users', id), change),
    removeUser: (id) => call(UserView, 'DELETE', at('users', id)),
    listAudit: ({ limit, before }) =>
      call(z.array(AuditEntry), 'GET', `audit?limit=${limit}${before === undefined ? '' : `&before=${before}`}`),
    verifyAudit: (expected) =>
      call(AuditVerdict, 'GET', `audit/verify${expected === undefined ? '' : `?expected=${encodeURIComponent(expected)}`}`),
  };
};

export const jsonOr = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
