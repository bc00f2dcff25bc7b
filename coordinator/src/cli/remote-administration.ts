import { addressOf, type Filling } from '@lai/shared/contract/address';
import { MANAGEMENT, type ManagementName, type QueryOf, type RequestOf, type ResponseOf } from '@lai/shared/contract/management';
import type { Operation } from '@lai/shared/contract/operation';
import { z } from 'zod';
import type { Administration } from '../access/administration.ts';

const LIMIT_MS = 10_000;
export const Problem = z.object({ error: z.object({ message: z.string() }) });

type Wish<Name extends ManagementName> = Filling<Name, QueryOf<Name>> &
  (RequestOf<Name> extends undefined ? { readonly body?: undefined } : { readonly body: RequestOf<Name> });

/** Asks a running coordinator for an operation of the contract; fails in its words. */
export const adminCall =
  ({ url, key, limitMs = LIMIT_MS }: { url: string; key: string; limitMs?: number }) =>
  async <Name extends ManagementName>(
    name: Name,
    ...[wish]: Record<never, never> extends Wish<Name> ? [Wish<Name>?] : [Wish<Name>]
  ): Promise<ResponseOf<Name>> => {
    const { method, path } = addressOf(name, wish);
    const body = wish?.body;
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: 'error',
      signal: AbortSignal.timeout(limitMs),
    });
    const text = await response.text();
    const { response: schema }: Operation = MANAGEMENT[name];
    if (response.ok) return (schema ? schema.parse(JSON.parse(text)) : undefined) as ResponseOf<Name>;
    throw new Error(Problem.safeParse(jsonOr(text)).data?.error.message ?? `${url} answered HTTP ${response.status}`);
  };

/** Over the admin API of a running coordinator. */
export const remoteAdministration = (place: { url: string; key: string }): Administration => {
  const call = adminCall(place);
  return {
    createKey: (body) => call('POST /api/v1/keys', { body }),
    listKeys: () => call('GET /api/v1/keys'),
    changeKey: (id, body) => call('PATCH /api/v1/keys/{id}', { path: { id }, body }),
    rotateKey: (id, body) => call('POST /api/v1/keys/{id}/rotate', { path: { id }, body }),
    revokeKey: (id) => call('DELETE /api/v1/keys/{id}', { path: { id } }),
    createToken: (body) => call('POST /api/v1/tokens', { body }),
    listTokens: () => call('GET /api/v1/tokens'),
    revokeToken: (id) => call('DELETE /api/v1/tokens/{id}', { path: { id } }),
    listNodes: () => call('GET /api/v1/nodes'),
    approveNode: (id) => call('POST /api/v1/nodes/{id}/approve', { path: { id } }),
    revokeNode: (id) => call('POST /api/v1/nodes/{id}/revoke', { path: { id } }),
    changeNode: (id, body) => call('PATCH /api/v1/nodes/{id}', { path: { id }, body }),
    removeNode: (id) => call('DELETE /api/v1/nodes/{id}', { path: { id } }),
    createUser: (body) => call('POST /api/v1/users', { body }),
    listUsers: () => call('GET /api/v1/users'),
    changeUser: (id, body) => call('PATCH /api/v1/users/{id}', { path: { id }, body }),
    removeUser: (id) => call('DELETE /api/v1/users/{id}', { path: { id } }),
    listAudit: (query) => call('GET /api/v1/audit', { query }),
    verifyAudit: (expected) => call('GET /api/v1/audit/verify', { query: { expected } }),
  };
};

export const jsonOr = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
