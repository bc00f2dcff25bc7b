import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedKey, IssuedToken } from '../../shared/src/admin-api.ts';
import { Fleet } from './fleet.ts';
import { Program } from './program.ts';
import { enrollRaw, RawAgent } from './raw-agent.ts';
import { readStream } from './stream.ts';

const MODEL = 'story:1b';
/** In every prompt, whatever becomes of it. */
const PROMPT = 'CANARY-prompt-5f2c9e';

/**
 * Secrets and prompts that go through the product on every way there is, failing ones included, at the most talkative log level; then
 * everything that was written anywhere is searched for them.
 */
describe('no secret and no prompt', () => {
  let fleet: Fleet;
  let monitor: Program;
  /** What was shown to a client that made a mistake. */
  const errors: string[] = [];
  const secrets: Record<string, string> = {};

  beforeAll(async () => {
    fleet = await Fleet.start({
      nodes: [
        {
          name: 'attic',
          models: `${MODEL}=0.1GB,slots=2,tps=400,caps=chat`,
          tuning: { prefillMs: 5, coldLoadMsPerGb: 0 },
          agentEnv: { LAI_LOG_LEVEL: 'trace' },
        },
      ],
      env: { LAI_LOG_LEVEL: 'trace' },
    });
    monitor = new Program('monitor', ['-s', join(fleet.dataDir, 'redis', 'redis.sock'), 'monitor'], {}, 'redis-cli');
    await monitor.until(/OK/);
    await live();
    // A command of its own, so that everything before it has been seen.
    await fleet.redisCli('ping', 'the-end');
    await monitor.until(/the-end/);
  });
  afterAll(async () => {
    monitor?.kill('SIGTERM');
    await monitor?.exited;
    await fleet?.stop();
  });

  const send = async (path: string, body: string, headers: Record<string, string> = {}, method = 'POST'): Promise<Response> => {
    const response = await fetch(`${fleet.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json', ...headers },
      ...(method === 'GET' ? {} : { body }),
      signal: AbortSignal.timeout(20_000),
    });
    if (!response.ok) errors.push(await response.clone().text());
    return response;
  };

  /** The setup link itself is said to whoever starts the coordinator; what comes of it is nobody's business. */
  const signInAndOut = async (): Promise<void> => {
    const token = /\/setup#([0-9a-f]{32})/.exec(fleet.coordinator.text)?.[1] ?? '';
    const password = 'CANARY-password-77d01b of the one who came first';
    const next = 'CANARY-password-5c3a90 of the one who changed it';
    Object.assign(secrets, { 'a password': password, 'another password': next });
    const keep = (name: string, response: Response): string => {
      const cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? '';
      secrets[name] = cookie.split('=')[1] ?? '';
      return cookie;
    };
    const nobody = { authorization: '' };
    keep('the first session', await send('/api/v1/setup', JSON.stringify({ token, name: 'anna', password }), nobody));
    await send('/api/v1/setup', JSON.stringify({ token, name: 'bert', password }), nobody);
    await send('/api/v1/session', JSON.stringify({ name: password, password: `${password}!` }), nobody);
    await send('/api/v1/session', JSON.stringify({ name: 'anna', password: { password } }), nobody);
    const cookie = keep('a session', await send('/api/v1/session', JSON.stringify({ name: 'anna', password }), nobody));
    const browser = { ...nobody, cookie, 'sec-fetch-site': 'same-origin' };
    await send('/api/v1/session/password', JSON.stringify({ current: next, next: password }), browser);
    const change = await send('/api/v1/session/password', JSON.stringify({ current: password, next }), browser);
    const changed = keep('the session after a change', change);
    const messages = [{ role: 'user', content: PROMPT }];
    const chat = JSON.stringify({ model: MODEL, messages, max_tokens: 4 });
    expect((await send('/v1/chat/completions', chat, { ...browser, cookie: changed })).status).toBe(200);
    await send('/api/v1/users', JSON.stringify({ name: 'carl', password: `${password} too` }));
    await send('/api/v1/users', JSON.stringify({ name: password, password }));
    await send('/api/v1/session', '', { ...browser, cookie: changed }, 'DELETE');
  };

  const live = async (): Promise<void> => {
    secrets['the operator of the tests'] = fleet.key;
    const made = (await (await send('/api/v1/keys', '{"name":"canary"}')).json()) as IssuedKey;
    secrets['a key'] = made.key;
    const rotated = (await (await send(`/api/v1/keys/${made.view.id}/rotate`, '{"graceSeconds":60}')).json()) as IssuedKey;
    secrets['a rotated key'] = rotated.key;
    const minted = (await (await send('/api/v1/tokens', '{}')).json()) as IssuedToken;
    secrets['a token'] = minted.token.split('_')[2] ?? '';
    const unused = (await (await send('/api/v1/tokens', '{"maxUses":3}')).json()) as IssuedToken;
    secrets['an unused token'] = unused.token.split('_')[2] ?? '';
    secrets["the node's private key"] = JSON.parse(readFileSync(join(fleet.directory, 'attic', 'node.json'), 'utf8')).privateKey;

    await signInAndOut();

    const identity = await enrollRaw(fleet.url, minted.token, 'raw');
    secrets['a raw private key'] = identity.keys.privateKey;
    await expect(enrollRaw(fleet.url, minted.token, 'again')).rejects.toThrow();
    const agent = new RawAgent(fleet.url);
    await agent.greet(identity);
    agent.say({ type: 'attempt.fail', attemptId: 'x', code: 'engine_error', detail: 'nothing' });
    agent.socket.close();
    await agent.closed;

    const messages = [{ role: 'user', content: `${PROMPT}: tell me a story.` }];
    const chat = (extra: Record<string, unknown>) => JSON.stringify({ model: MODEL, messages, max_tokens: 12, ...extra });
    for (const key of [made.key, rotated.key]) {
      await readStream(await send('/v1/chat/completions', chat({ stream: true }), { authorization: key }));
      await (await send('/v1/chat/completions', chat({}), { authorization: '', 'x-api-key': key })).text();
      await (await send(`/k/${key}/api/chat`, chat({}), { authorization: 'Bearer ollama' })).text();
      await (await send(`/k/${key}/nowhere/${PROMPT.length}`, '{}', { authorization: '' })).text();
    }
    await (await send('/v1/messages', chat({}))).text();
    await (await send('/v1/responses', JSON.stringify({ model: MODEL, input: PROMPT, max_output_tokens: 12 }))).text();
    await (await send('/v1/completions', JSON.stringify({ model: MODEL, prompt: PROMPT, max_tokens: 12 }))).text();
    expect((await send('/v1/jobs', chat({}))).status).toBe(202);

    // What goes wrong, with the same prompt in it.
    await send('/v1/chat/completions', `{"model": "${MODEL}", "messages": [{"content": "${PROMPT}" `);
    await send('/v1/chat/completions', chat({ model: 'no-such-model' }));
    await send('/v1/chat/completions', chat({ temperature: PROMPT }));
    await send('/v1/chat/completions', JSON.stringify({ model: MODEL, messages: PROMPT }));
    await send('/v1/chat/completions', chat({}), { authorization: `Bearer ${made.key}0` });
    await send('/v1/chat/completions', chat({}), { 'x-lai-timeout': 'soon' });
    for (const kind of ['error', 'oom', 'reset', 'crash']) {
      await fleet.node('attic').control('fault', { kind, times: 1 });
      await (await send('/v1/chat/completions', chat({ stream: true }), { 'x-lai-timeout': '3' })).text();
    }
  };

  /** Everything below the folder, as one text; binary files too. */
  const filesBelow = (folder: string, skip: readonly string[]): [string, string][] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => !skip.some((ending) => name.endsWith(ending)))
      .map((name) => join(folder, name))
      .filter((path) => statSync(path).isFile())
      .map((path) => [path, readFileSync(path, 'latin1')]);

  const places = (): [string, string][] => [
    ["the coordinator's log", fleet.coordinator.text],
    ["the agent's log", fleet.node('attic').agent.text],
    ['every command to Redis', monitor.text],
    ['errors shown to clients', errors.join('\n')],
    // Where a secret belongs: the agent's identity, and the key of the operator of this machine.
    ...filesBelow(fleet.directory, ['node.json', 'operator.key', '.sock']),
  ];

  it('stands in a log, an error, Redis or a file', () => {
    // The search itself must be able to find something.
    expect(fleet.coordinator.text).toContain('request ended');
    expect(monitor.text.length).toBeGreaterThan(10_000);
    expect(errors.length).toBeGreaterThan(5);
    expect(places().some(([path]) => path.endsWith('lai.sqlite'))).toBe(true);
    const found = places().flatMap(([place, text]) =>
      [...Object.entries(secrets), ['the prompt', PROMPT] as const].flatMap(([name, secret]) =>
        secret.length > 8 && text.includes(secret) ? [`${name} in ${place}`] : [],
      ),
    );
    expect(found).toEqual([]);
  });

  it('but the hashes of keys are in the database, and nothing else of them', () => {
    expect(Object.values(secrets).every((secret) => secret.length >= 32)).toBe(true);
    const database = filesBelow(fleet.dataDir, ['.key', '.sock', '.log'])
      .filter(([path]) => /lai\.sqlite/.test(path))
      .map(([, text]) => text)
      .join('');
    expect(database).toContain('canary');
    for (const secret of [secrets['a key'], secrets['a rotated key']]) expect(database).not.toContain(secret?.slice(8));
  });
});
