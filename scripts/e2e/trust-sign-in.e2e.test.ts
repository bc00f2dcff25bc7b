import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SessionView, UserView, WhoAmI } from '../../shared/src/admin-api.ts';
import { Fleet } from './fleet.ts';
import { readStream } from './stream.ts';

const LAI = join(import.meta.dirname, '..', '..', 'coordinator', 'dist', 'lai.js');
const MODEL = 'story:1b';
const PASSWORD = 'correct horse battery';
/** The promise, from the moment that somebody asks. */
const LIMIT_MS = 1_000;

/** A browser, as far as it matters here: keeps the cookie that it is given, and says where the page came from. */
class Browser {
  readonly #url: string;
  cookie: string;

  constructor(url: string, cookie = '') {
    this.#url = url;
    this.cookie = cookie;
  }

  async send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: {
        origin: this.#url,
        'sec-fetch-site': 'same-origin',
        ...(this.cookie === '' ? {} : { cookie: this.cookie }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const [cookie] = response.headers.getSetCookie();
    if (cookie !== undefined) this.cookie = cookie.split(';')[0] ?? '';
    return response;
  }

  async status(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<number> {
    const response = await this.send(method, path, body, headers);
    await response.body?.cancel();
    return response.status;
  }

  async json<T>(path: string): Promise<T> {
    const response = await this.send('GET', path);
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  signIn(name: string, password: string): Promise<number> {
    return this.status('POST', '/api/v1/session', { name, password });
  }
}

describe('people', () => {
  let home: Fleet;
  let replica: Fleet;
  let token = '';
  const anna = { name: 'anna', password: PASSWORD };

  beforeAll(async () => {
    const models = `${MODEL}=0.1GB,slots=8,tps=40,caps=chat`;
    home = await Fleet.start({ nodes: [{ name: 'attic', models, tuning: { prefillMs: 5, coldLoadMsPerGb: 0 } }] });
    token =
      /First operator: http:\/\/127\.0\.0\.1:\d+\/setup#([0-9a-f]{32})$/.exec(
        await home.coordinator.until(/First operator/),
      )?.[1] ?? '';
    replica = await Fleet.startReplica(home, { nodes: [] });
    // Each start makes another link; the newest counts.
    token = /#([0-9a-f]{32})/.exec(await replica.coordinator.until(/First operator/))?.[1] ?? token;
    await home.warmUp(MODEL);
    await replica.until('its node is seen', ({ nodes }) => nodes.some(({ liveness }) => liveness === 'alive'));
  });
  afterAll(async () => {
    await replica?.stop();
    await home?.stop();
  });

  const users = async (): Promise<UserView[]> => JSON.parse(await home.lai('users', 'list', '--json')) as UserView[];
  /** A browser of Anna's who has signed in. */
  const anew = async (fleet = home): Promise<Browser> => {
    const browser = new Browser(fleet.url);
    expect(await browser.signIn(anna.name, anna.password)).toBe(204);
    return browser;
  };
  const story = { model: MODEL, stream: true, max_tokens: 1_000, messages: [{ role: 'user', content: 'A long one.' }] };

  it('find the page behind the printed link; it runs its own script and nothing else', async () => {
    for (const path of ['/setup', '/sign-in']) {
      const response = await fetch(`${home.url}${path}`);
      expect(response.headers.get('content-type')).toContain('text/html');
      const policy = response.headers.get('content-security-policy') ?? '';
      expect(policy).toContain("script-src 'self'");
      expect(policy).not.toContain('unsafe');
      const page = await response.text();
      expect(page).not.toMatch(/<script>|<style|\son[a-z]+=|https?:/);
      for (const [, file = ''] of page.matchAll(/(?:src|href)="([^"]+)"/g)) {
        const asset = await fetch(new URL(file, `${home.url}${path}`));
        expect(asset.status, file).toBe(200);
        expect(await asset.text()).not.toMatch(/innerHTML|eval\(|document\.write/);
      }
    }
  });

  it('begin with one operator: the link works once, at any replica, for a page of ours', async () => {
    const body = { token, ...anna };
    const elsewhere = { origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' };
    expect(await new Browser(replica.url).status('POST', '/api/v1/setup', body, elsewhere)).toBe(403);
    expect(await new Browser(replica.url).status('POST', '/api/v1/setup', { ...body, password: 'short' })).toBe(400);
    expect(await new Browser(replica.url).status('POST', '/api/v1/setup', { ...body, token: '0'.repeat(32) })).toBe(401);
    const browser = new Browser(replica.url);
    expect(await browser.status('POST', '/api/v1/setup', body)).toBe(204);
    expect(browser.cookie).toMatch(/^lai-on-this-machine=[0-9a-f]{32}$/);
    expect(await browser.json<WhoAmI>('/api/v1/session')).toMatchObject({ name: 'anna', user: { role: 'admin' } });
    expect(await new Browser(home.url).status('POST', '/api/v1/setup', { ...body, name: 'mallory' })).toBe(401);
    expect(await users()).toMatchObject([{ name: 'anna', role: 'admin' }]);
    for (const { coordinator } of [home, replica]) expect(coordinator.text).not.toContain(PASSWORD);
  });

  it('sign in at one replica and are known at the others, with what their role allows', async () => {
    const browser = await anew();
    const there = new Browser(replica.url, browser.cookie);
    expect(await there.status('GET', '/api/v1/keys')).toBe(200);
    expect(await there.status('POST', '/api/v1/users', { name: 'bert', password: PASSWORD })).toBe(201);
    const bert = new Browser(home.url);
    expect(await bert.signIn('bert', PASSWORD)).toBe(204);
    expect(await bert.status('GET', '/api/v1/status')).toBe(200);
    for (const path of ['/api/v1/keys', '/api/v1/users', '/api/v1/audit']) expect(await bert.status('GET', path)).toBe(403);
    expect(await bert.status('POST', '/v1/chat/completions', story)).toBe(403);
    expect(await bert.status('POST', '/api/v1/users', { name: 'eve', password: PASSWORD, role: 'admin' })).toBe(403);
    expect(await bert.status('PATCH', `/api/v1/users/${(await users()).at(-1)?.id}`, { role: 'admin' })).toBe(403);
  });

  it('are not acted for by pages of other sites, nor by programs that have only the cookie', async () => {
    const browser = await anew();
    const from: Record<string, string>[] = [
      { origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' },
      { origin: home.url.replace(/\d+$/, '1'), 'sec-fetch-site': 'same-site' },
      { origin: 'null', 'sec-fetch-site': 'cross-site' },
      { origin: home.url, 'sec-fetch-site': 'cross-site' },
      { origin: 'http://evil.example', 'sec-fetch-site': 'same-origin' },
    ];
    for (const headers of from) {
      expect(await browser.status('POST', '/api/v1/keys', { name: 'stolen' }, headers)).toBe(403);
      expect(await browser.status('POST', '/v1/chat/completions', story, headers)).toBe(403);
      expect(await browser.status('DELETE', '/api/v1/session', undefined, headers)).toBe(403);
      // Nor is anybody signed in by another site, as somebody of its choice.
      expect(await new Browser(home.url).status('POST', '/api/v1/session', anna, headers)).toBe(403);
    }
    // A form can send text; what it looks like does not make it JSON.
    const form = { 'content-type': 'text/plain' };
    expect(await new Browser(home.url).status('POST', '/api/v1/session', anna, form)).toBe(415);
    expect(await browser.status('GET', '/api/v1/keys')).toBe(200);
  });

  it('see where they have signed in, and end one of these; what ran there is cut at once, also at another replica', async () => {
    const [desk, phone] = [await anew(), await anew()];
    const delaysMs: number[] = [];
    for (const at of [home, replica]) {
      const other = at === home ? phone : await anew();
      const stream = readStream(await new Browser(at.url, other.cookie).send('POST', '/v1/chat/completions', story)).then(
        (seen) => ({ ...seen, endedAtMs: performance.now() }),
      );
      const list = await other.json<SessionView[]>('/api/v1/sessions');
      const mine = list.find(({ isCurrent }) => isCurrent);
      expect(list.length).toBeGreaterThanOrEqual(2);
      expect(JSON.stringify(list)).not.toContain(other.cookie.split('=')[1] ?? '');
      const endedAtMs = performance.now();
      expect(await desk.status('DELETE', `/api/v1/sessions/${mine?.id}`)).toBe(204);
      const seen = await stream;
      delaysMs.push(seen.endedAtMs - endedAtMs);
      expect(seen.isDone).toBe(false);
      expect(seen.errors.map(({ code }) => code)).toEqual(['invalid_api_key']);
      expect(await other.status('GET', '/api/v1/session')).toBe(401);
      expect(await desk.status('GET', '/api/v1/session')).toBe(200);
    }
    console.log(`a stream of an ended session: ${delaysMs.map((ms) => ms.toFixed(0)).join(', ')} ms`);
    expect(Math.max(...delaysMs)).toBeLessThan(LIMIT_MS);
    expect(await desk.status('DELETE', '/api/v1/sessions/0000000000000000')).toBe(404);
  });

  it('sign out, and a kept cookie is worth nothing', async () => {
    const browser = await anew();
    const kept = new Browser(home.url, browser.cookie);
    expect(await browser.status('DELETE', '/api/v1/session')).toBe(204);
    expect(browser.cookie).toBe('lai-on-this-machine=');
    expect(await kept.status('GET', '/api/v1/session')).toBe(401);
  });

  it('change their password, which ends every other session and leaves one with another secret', async () => {
    const [desk, phone] = [await anew(), await anew(replica)];
    const stream = readStream(await phone.send('POST', '/v1/chat/completions', story));
    const before = desk.cookie;
    expect(await desk.status('POST', '/api/v1/session/password', { current: 'wrong', next: 'another horse' })).toBe(401);
    expect(await desk.status('POST', '/api/v1/session/password', { current: PASSWORD, next: 'another horse' })).toBe(204);
    anna.password = 'another horse';
    const changedAtMs = performance.now();
    expect((await stream).errors.map(({ code }) => code)).toEqual(['invalid_api_key']);
    expect(performance.now() - changedAtMs).toBeLessThan(LIMIT_MS);
    expect(desk.cookie).not.toBe(before);
    expect(await desk.status('GET', '/api/v1/session')).toBe(200);
    for (const cookie of [before, phone.cookie])
      expect(await new Browser(home.url, cookie).status('GET', '/api/v1/session')).toBe(401);
  });

  it('are looked after with `lai users`, and the database is a way in for who is locked out', async () => {
    const piped = (input: string, ...args: string[]) => lai(home.env, input, 'users', ...args);
    expect(await piped('a password of carl\n', 'create', 'carl')).toMatch(/carl +viewer +enabled/);
    const carl = new Browser(home.url);
    expect(await carl.signIn('carl', 'a password of carl')).toBe(204);
    expect(await piped('', 'disable', 'carl')).toMatch(/carl +viewer +disabled/);
    expect(await carl.status('GET', '/api/v1/session')).toBe(401);
    expect(await carl.signIn('carl', 'a password of carl')).toBe(401);
    await piped('', 'enable', 'carl');
    await piped('', 'role', 'carl', 'admin');
    const made = /^Password: (\S{16})$/m.exec(await piped('', 'password', 'carl'))?.[1] ?? '';
    expect(await carl.signIn('carl', made)).toBe(204);
    expect(await carl.status('GET', '/api/v1/keys')).toBe(200);
    expect(await piped('', 'remove', 'carl')).toContain('carl is removed');
    expect(await carl.status('GET', '/api/v1/session')).toBe(401);
    await expect(piped('', 'remove', 'carl')).rejects.toThrow('There is no user carl.');
    await expect(piped('short\n', 'create', 'carl')).rejects.toThrow('10 characters or more');
    // Without the coordinator, on its database: another port answers nothing.
    const alone = { ...home.env, LAI_PORT: '9' };
    await lai(alone, 'back in at last\n', 'users', 'password', 'anna');
    anna.password = 'back in at last';
    await anew();
  });

  it('wait after five wrong passwords, and everything they did is in the audit log', async () => {
    const codes: number[] = [];
    for (let tries = 0; tries < 6; tries += 1) codes.push(await new Browser(home.url).signIn(`nobody${tries}`, PASSWORD));
    // Failures of the tests before count too: it is the same address.
    expect(codes.filter((code) => code === 401).length).toBeLessThanOrEqual(5);
    expect(codes.at(-1)).toBe(429);
    const refusal = await new Browser(replica.url).send('POST', '/api/v1/session', anna);
    expect(refusal.status).toBe(429);
    expect(Number(refusal.headers.get('retry-after'))).toBeGreaterThan(0);
    const audit = await home.lai('audit', '--limit', '200');
    for (const action of ['user.create', 'session.begin', 'user.password', 'user.change', 'user.remove'])
      expect(audit).toContain(action);
    expect(audit).not.toContain('horse');
    expect(await home.lai('audit', 'verify')).toContain('intact');
  });
});

/** One command of an operator, who types this. */
const lai = (env: Record<string, string>, input: string, ...args: string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [LAI, ...args], { env: { ...process.env, ...env, NO_COLOR: '1' } });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
    child.once('close', (code) => (code === 0 ? resolve(text) : reject(new Error(text))));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
