import { addressOf, type Filling } from '@lai/shared/contract/address';
import { MANAGEMENT, type ManagementName, type QueryOf, type RequestOf, type ResponseOf } from '@lai/shared/contract/management';
import type { Operation } from '@lai/shared/contract/operation';
import type { Administration } from '../access/administration.ts';
import { type Asked, askCoordinator, readAs } from './ask-coordinator.ts';

type Wish<Name extends ManagementName> = Filling<Name, QueryOf<Name>> &
  (RequestOf<Name> extends undefined ? { readonly body?: undefined } : { readonly body: RequestOf<Name> });

/** Asks a running coordinator for an operation of the contract; fails in its words. */
export const adminCall =
  ({ limitMs, ...place }: Asked & { readonly limitMs?: number }) =>
  async <Name extends ManagementName>(
    name: Name,
    ...[wish]: Record<never, never> extends Wish<Name> ? [Wish<Name>?] : [Wish<Name>]
  ): Promise<ResponseOf<Name>> => {
    const { method, path } = addressOf(name, wish);
    const body = wish?.body;
    const response = await askCoordinator(place, path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(limitMs === undefined ? {} : { limitMs }),
    });
    const { response: schema }: Operation = MANAGEMENT[name];
    return (schema ? await readAs(schema, response, place.url) : undefined) as ResponseOf<Name>;
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
