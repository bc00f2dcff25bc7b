import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { serve } from '@hono/node-server';
import { generateIdentityKeys } from '@lai/shared/ed25519';
import { Hono } from 'hono';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ApiKeys, createApiKey } from './access/api-keys.ts';
import type { Actor } from './access/audit.ts';
import { trustedProxies } from './access/client-address.ts';
import { FailureLimits } from './access/failure-limits.ts';
import { guardedAction, refuseUnguarded } from './access/middleware.ts';
import type { Session } from './access/sessions.ts';
import { storeAdministration } from './access/store-administration.ts';
import { type AppOptions, createApp } from './app.ts';
import { HeldMemory } from './dispatch/held-memory.ts';
import { NONE } from './routing/groups.ts';
import { noRules } from './routing/rules.ts';
import { revokeApiKey } from './store/api-keys.ts';
import { type Database, openDatabase } from './store/database.ts';

/**
 * Who may use which route, written down by hand: a route that is not here fails this test. `anyone` needs no key; the others name the
 * scopes of which one is enough.
 */
const MATRIX: Record<string, string> = {
  'GET /': 'anyone',
  'GET /api/version': 'anyone',
  'GET /api/hello': 'anyone',
  'GET /docs': 'anyone',
  'GET /docs/page.js': 'anyone',
  'GET /docs/style.css': 'anyone',
  'GET /openapi.json': 'anyone',
  'GET /setup': 'anyone',
  'GET /sign-in': 'anyone',
  'GET /sign-in/page.js': 'anyone',
  'GET /sign-in/style.css': 'anyone',
  'GET /ui': 'anyone',
  'GET /ui/*': 'anyone',
  'GET /livez': 'anyone',
  'GET /readyz': 'anyone',
  'POST /api/v1/enroll': 'anyone',
  'GET /install.sh': 'anyone',
  'GET /install.ps1': 'anyone',
  'GET /dl/:version/:file': 'anyone',
  'POST /v1/chat/completions': 'inference',
  'POST /v1/responses': 'inference',
  'POST /v1/completions': 'inference',
  'POST /v1/embeddings': 'inference',
  'POST /v1/rerank': 'inference',
  'POST /v1/audio/transcriptions': 'inference',
  'GET /v1/models': 'inference read admin',
  'GET /v1/models/:id{.+}': 'inference read admin',
  'POST /v1/jobs': 'inference',
  'GET /v1/jobs/:id': 'inference',
  'POST /v1/jobs/:id/cancel': 'inference',
  'POST /v1/messages': 'inference',
  'POST /v1/messages/count_tokens': 'inference',
  'POST /api/chat': 'inference',
  'POST /api/generate': 'inference',
  'POST /api/embed': 'inference',
  'POST /api/embeddings': 'inference',
  'GET /api/tags': 'inference read admin',
  'GET /api/ps': 'inference read admin',
  'POST /api/show': 'inference',
  'POST /api/pull': 'inference',
  'POST /api/copy': 'inference',
  'POST /api/create': 'inference',
  'POST /api/push': 'inference',
  'POST /api/blobs/:digest': 'inference',
  'DELETE /api/delete': 'inference',
  'GET /api/v1/status': 'read admin',
  'GET /api/v1/fleet': 'read admin',
  'GET /api/v1/events': 'read admin',
  'GET /api/v1/models/matrix': 'read admin',
  'GET /api/v1/commands': 'read admin',
  'POST /api/v1/routes/preview': 'read admin',
  'GET /api/v1/providers': 'read admin',
  'GET /api/v1/config': 'read admin',
  'GET /api/v1/nodes/:id': 'read admin',
  'GET /api/v1/requests/:id/explanation': 'inference read admin',
  'GET /api/v1/keys': 'admin',
  'POST /api/v1/keys': 'admin',
  'PATCH /api/v1/keys/:id': 'admin',
  'POST /api/v1/keys/:id/rotate': 'admin',
  'DELETE /api/v1/keys/:id': 'admin',
  'GET /api/v1/tokens': 'admin',
  'POST /api/v1/tokens': 'admin',
  'DELETE /api/v1/tokens/:id': 'admin',
  'GET /api/v1/nodes': 'read admin',
  'PATCH /api/v1/nodes/:id': 'admin',
  'POST /api/v1/nodes/:id/approve': 'admin',
  'POST /api/v1/nodes/:id/revoke': 'admin',
  'DELETE /api/v1/nodes/:id': 'admin',
  'POST /api/v1/nodes/:id/commands': 'admin',
  'DELETE /api/v1/nodes/:id/commands/:command': 'admin',
  'POST /api/v1/setup': 'anyone',
  'POST /api/v1/session': 'anyone',
  'GET /api/v1/session': 'inference read admin',
  'DELETE /api/v1/session': 'inference read admin',
  'POST /api/v1/session/password': 'inference read admin',
  'GET /api/v1/sessions': 'inference read admin',
  'DELETE /api/v1/sessions/:id': 'inference read admin',
  'GET /api/v1/certificate': 'anyone',
  'POST /api/v1/join-commands': 'admin',
  'GET /api/v1/updates': 'read admin',
  'POST /api/v1/updates': 'admin',
  'DELETE /api/v1/updates': 'admin',
  'GET /api/v1/users': 'admin',
  'POST /api/v1/users': 'admin',
  'PATCH /api/v1/users/:id': 'admin',
  'DELETE /api/v1/users/:id': 'admin',
  'GET /api/v1/audit': 'admin',
  'GET /api/v1/audit/verify': 'admin',
};

const SCOPES = ['inference', 'read', 'admin'] as const;

/** People who have signed in, by what their cookie holds; each with one scope, so that the table is asked the same way. */
const people = new Map<string, Session>(
  SCOPES.map((scope, at) => {
    const [digest, models] = [String(at).repeat(32), null];
    const principal = { keyId: `user_${scope}`, name: scope, scopes: [scope], models };
    return [digest, { id: digest, digest, principal, user: { id: principal.keyId } } as unknown as Session];
  }),
);
const log = pino({ level: 'silent' });

/** A household without machines and providers. */
const nowhere = { rules: noRules, nodes: [], providers: [], derived: NONE, environmentDefault: null };

describe('the door', () => {
  let folder: string;
  let db: Database;
  let apiKeys: ApiKeys;
  let app: ReturnType<typeof createApp>;
  let server: Server;
  let url: string;
  let failures: FailureLimits;
  const keys: Record<string, string> = {};

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'lai-door-'));
    db = await openDatabase(path.join(folder, 'lai.db'));
    apiKeys = new ApiKeys(db);
    const nowMs = Date.now();
    for (const scope of SCOPES) keys[scope] = (await createApiKey(db, { name: scope, scopes: [scope], nowMs })).key;
    keys['expired'] = (await createApiKey(db, { name: 'old', scopes: [...SCOPES], nowMs, expiresAtMs: nowMs - 1 })).key;
    const revoked = await createApiKey(db, { name: 'gone', scopes: [...SCOPES], nowMs });
    await revokeApiKey(db, revoked.id, nowMs);
    keys['revoked'] = revoked.key;
    keys['unknown'] = `lai_${'0'.repeat(32)}`;
    const { publicKey } = await generateIdentityKeys();
    // What stands behind the guards is of no interest here, as long as it answers something.
    const behind = {
      list: () => [],
      read: () => null,
      find: () => null,
      cancel: () => null,
      preview: () => ({ decision: { kind: 'later' } }),
    };
    app = createApp({
      explanations: { find: async () => null },
      held: new HeldMemory(),
      speedsOf: () => ({ tokensPerSecond: null, firstContentMs: null, loadMs: null }),
      ...{ db, apiKeys, coordinatorKey: publicKey, log, queueWaitMs: 100, keepAliveMs: 100, maxTextBodyBytes: 1_000_000 },
      sessions: {
        find: async (secret: string) => people.get(secret) ?? null,
        use: () => ({ signal: new AbortController().signal, end: () => {} }),
      },
      failures: { failed: (address: string, nowMs: number) => failures.failed(address, nowMs) },
      ...{ proxies: trustedProxies([]), isRedisUp: () => true, isDraining: () => false },
      administration: (actor: Actor) => storeAdministration({ db, coordinatorKey: publicKey, log, announce: () => {} }, actor),
      ...{
        registry: behind,
        matching: { ...behind, waiting: 0, running: 0 },
        dispatcher: {},
        routes: { now: () => ({ now: '', isLeft: false }) },
        routing: { world: () => nowhere, complexWhen: () => ({ matches: () => false }) },
        providers: () => [],
        configuration: () => ({ folder: '', appliedAtMs: null, refused: [] }),
        jobs: behind,
        nodeCommands: behind,
        releases: { dir: '', shelf: async () => ({ releases: [], publicKey: null, problems: [] }), find: async () => null },
        rollouts: { current: async () => null, start: async () => null, stop: async () => null },
      },
    } as unknown as AppOptions);
    server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0, overrideGlobalObjects: false }) as Server;
    await new Promise((resolve) => server.once('listening', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  // What one test did wrong is not held against the next.
  beforeEach(() => {
    failures = new FailureLimits();
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await apiKeys.close();
    await db.destroy();
    rmSync(folder, { recursive: true });
  });

  const routes = () => app.routes.filter(({ method }) => method !== 'ALL');
  const ways: Record<string, (key: string) => { headers: Record<string, string>; prefix: string }> = {
    bearer: (key) => ({ headers: { authorization: `Bearer ${key}` }, prefix: '' }),
    bare: (key) => ({ headers: { authorization: key }, prefix: '' }),
    'x-api-key': (key) => ({ headers: { 'x-api-key': key }, prefix: '' }),
    path: (key) => ({ headers: {}, prefix: `/k/${key}` }),
  };
  const cookieOf = (scope: string): string =>
    `lai-on-this-machine=${[...people].find(([, { principal }]) => principal.name === scope)?.[0]}`;
  const ask = async (
    route: string,
    { headers = {}, prefix = '' }: { headers?: Record<string, string>; prefix?: string } = {},
  ) => {
    const [method = '', pattern = ''] = route.split(' ');
    const target = pattern.replace(/:id(\{[^}]*\})?/, 'some-id');
    const response = await fetch(`${url}${prefix}${target}`, {
      method,
      headers: { ...headers, 'content-type': 'application/json' },
      ...(method === 'POST' || method === 'PATCH' ? { body: '[]' } : {}),
    });
    const text = await response.text();
    return { status: response.status, text, headers: response.headers };
  };
  /** Refused for want of a right, and not by what stands behind the guard. */
  const isRefused = ({ status, text }: { status: number; text: string }) =>
    status === 401 || status === 429 || (status === 403 && text.includes('lacks the scope'));

  it('has a row here for each of its routes, and a guard in front of each', () => {
    const there = new Set(routes().map(({ method, path: pattern }) => `${method} ${pattern}`));
    const guarded = new Set(
      routes().flatMap(({ method, path: pattern, handler }) => (guardedAction(handler) ? [`${method} ${pattern}`] : [])),
    );
    expect([...there].sort()).toEqual(Object.keys(MATRIX).sort());
    expect([...there].filter((route) => !guarded.has(route))).toEqual([]);
  });

  it.each(Object.entries(MATRIX))('%s is for %s', async (route, allowed) => {
    expect(isRefused(await ask(route))).toBe(allowed !== 'anyone');
    for (const [way, credential] of Object.entries(ways)) {
      for (const scope of SCOPES) {
        const answer = await ask(route, credential(keys[scope] ?? ''));
        expect(isRefused(answer), `${scope} by ${way}: ${answer.status} ${answer.text}`).toBe(
          allowed !== 'anyone' && !allowed.split(' ').includes(scope),
        );
      }
    }
    for (const scope of SCOPES) {
      const answer = await ask(route, { headers: { cookie: cookieOf(scope), 'sec-fetch-site': 'same-origin' } });
      expect(isRefused(answer), `${scope} by cookie: ${answer.status} ${answer.text}`).toBe(
        allowed !== 'anyone' && !allowed.split(' ').includes(scope),
      );
    }
  });

  it.each(Object.keys(MATRIX).filter((route) => !route.startsWith('GET ') && MATRIX[route] !== 'anyone'))(
    '%s is not done for a page of another site, whoever has signed in',
    async (route) => {
      const origins = [
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'same-site', origin: 'http://127.0.0.1:1' },
        { origin: 'http://evil.example' },
        { origin: 'null' },
        {},
      ];
      for (const headers of origins) {
        const { status, text } = await ask(route, { headers: { ...headers, cookie: cookieOf('admin') } });
        expect(status, JSON.stringify(headers)).toBe(403);
        expect(text).toContain('page of another site');
      }
    },
  );

  it('takes a cookie under its own name only, and none where a key is shown', async () => {
    const cookie = cookieOf('admin');
    const status = async (headers: Record<string, string>) => (await ask('GET /api/v1/keys', { headers })).status;
    expect(await status({ cookie })).toBe(200);
    for (const headers of [
      { cookie: cookie.replace('lai-on-this-machine', '__Host-lai') },
      { cookie: 'lai-on-this-machine=x' },
      { cookie, authorization: `Bearer ${keys['unknown']}` },
      { cookie, 'x-api-key': 'made-up' },
    ])
      expect([401, 429]).toContain(await status(headers));
  });

  it('lets nobody change anything without a key, except who brings a secret of another kind', () => {
    const open = Object.entries(MATRIX).filter(([route, allowed]) => allowed === 'anyone' && !route.startsWith('GET '));
    expect(open.map(([route]) => route)).toEqual(['POST /api/v1/enroll', 'POST /api/v1/setup', 'POST /api/v1/session']);
  });

  it('says the same to a key that is unknown, expired or revoked, and to none', async () => {
    const answers = await Promise.all(
      ['unknown', 'expired', 'revoked'].map((name) => ask('GET /v1/models', ways['bearer']?.(keys[name] ?? ''))),
    );
    const none = await ask('GET /v1/models');
    for (const { status, text } of answers) expect({ status, text }).toEqual({ status: none.status, text: none.text });
  });

  it('lets no field of a body give more than was asked for', async () => {
    const post = (body: unknown) =>
      fetch(`${url}/api/v1/keys`, {
        method: 'POST',
        headers: { authorization: `Bearer ${keys['admin']}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    for (const extra of [{ id: 'key_1' }, { hash: 'x' }, { scopes: ['root'] }, { isAdmin: true }, { revoked_at_ms: null }])
      expect((await post({ name: 'x', ...extra })).status).toBe(400);
    const made = (await (await post({ name: 'x', __proto__: { scopes: ['admin'] } })).json()) as { view: { scopes: string[] } };
    expect(made.view.scopes).toEqual(['inference']);
  });

  it('never takes what is stored for what was given out', async () => {
    for (const { hash } of await db.selectFrom('api_keys').select('hash').execute())
      for (const shown of [hash, `lai_${hash.slice(0, 32)}`])
        expect((await ask('GET /v1/models', ways['bearer']?.(shown))).status).not.toBe(200);
  });

  it.each([
    '//v1/models',
    '/v1//models',
    '/v1/models%2f..%2fstatus',
    '/%76%31/models',
    '/v1/models/../../api/v1/keys',
    '/V1/models',
  ])('does not open by another spelling: %s', async (spelling) => {
    const status = await new Promise<number>((resolve, reject) => {
      const request = httpRequest(url, { path: spelling }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      request.once('error', reject).end();
    });
    expect([400, 401, 404, 429]).toContain(status);
  });

  it('does not let a Host header, a forwarded address or an absolute target decide who somebody is', async () => {
    const status = (headers: Record<string, string>, target = '/api/v1/keys') =>
      new Promise<number>((resolve, reject) => {
        const request = httpRequest(url, { path: target, headers }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        request.once('error', reject).end();
      });
    for (const headers of [
      { host: 'localhost' },
      { host: 'localhost/api/v1?' },
      { host: '127.0.0.1:5240@evil' },
      { 'x-forwarded-for': '127.0.0.1' },
      { 'x-forwarded-host': 'localhost', 'x-original-url': '/livez', 'x-rewrite-url': '/livez' },
      { 'x-http-method-override': 'GET' },
    ])
      expect([400, 401, 429]).toContain(await status(headers));
    expect([400, 401, 404, 429]).toContain(await status({}, `${url}/api/v1/keys`));
  });

  it('sends headers that keep browsers from doing anything with it', async () => {
    for (const route of ['GET /livez', 'GET /v1/models', 'GET /nowhere']) {
      const { headers } = await ask(route);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('access-control-allow-origin')).toBeNull();
      expect(headers.get('cache-control')).toBe('no-store');
    }
  });

  it('tells who knows no key too often to wait, and still lets in who knows one', async () => {
    const guess = () => ask('GET /v1/models', ways['bearer']?.(`lai_${'f'.repeat(32)}`));
    let last = await guess();
    for (let tries = 0; tries < 100 && last.status !== 429; tries += 1) last = await guess();
    expect(last.status).toBe(429);
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await ask('GET /v1/models', ways['bearer']?.(keys['read'] ?? ''))).status).toBe(200);
  });
});

it('a route without a guard answers nobody', async () => {
  const app = new Hono().use(refuseUnguarded).get('/open', (c) => c.text('secret'));
  app.onError((_, c) => c.text('refused', 500));
  const response = await app.request('/open');
  expect({ status: response.status, text: await response.text() }).toEqual({ status: 500, text: 'refused' });
});
