import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { Program } from './program.ts';

const KEY = 'sk-fake-9f8e7d6c5b4a39281706f5e4d3c2b1a0';
const SECRET_PROMPT = 'the plum tree behind the mill';
const FAKE = join(import.meta.dirname, '..', 'providers', 'fake.ts');
const MODEL = 'story:1b';
const SCENARIOS = [
  ...['error-before-content', 'quiet-end-before-content', 'too-long', 'html', 'redirect', 'quiet-end', 'cut'],
  ...['broken-once', 'midstream-error', 'hang-after-head'],
];

interface Seen {
  readonly path: string;
  readonly model: string;
  readonly authorization: string;
  readonly body: string;
}

const startFake = async (...args: string[]) => {
  const program = new Program('fake provider', [FAKE, '0', ...args], {});
  const port = /(\d+)$/.exec(await program.until(/listens on \d+/))?.[1] ?? '';
  const url = `http://127.0.0.1:${port}`;
  const seen = async (): Promise<Seen[]> => (await (await fetch(`${url}/_seen`)).json()) as Seen[];
  return { program, url, seen };
};

describe('providers beside the fleet', () => {
  let fleet: Fleet;
  let fake: Awaited<ReturnType<typeof startFake>>;
  let stranger: Awaited<ReturnType<typeof startFake>>;
  let configDir: string;

  /** One provider for each scenario, since failures count against a provider as a whole. */
  const providersFile = () => `providers:
${['cloud', 'second', 'limited', 'spent', 'busy', 'broken', 'late', ...SCENARIOS]
  .map((id) => `  - { id: ${id}, type: openai, endpoint: "${fake.url}/v1", authSecret: CLOUD_KEY, readTimeoutMs: 1500 }`)
  .join('\n')}
  - { id: wrong, type: openai-compatible, endpoint: "${fake.url}/v1", authSecret: WRONG_KEY }
models:
  - { id: ok, providerId: wrong, isDefault: true }
`;
  const routingFile = (home = 'allowed') => `home: ${home}
aliases:
  away-first: { provider: limited, model: rate-limit, fallback: [cloud/ok] }
  chain: { provider: busy, model: overloaded, fallback: [error-before-content/error-before-content, second/ok] }
  to-the-fleet: { provider: quiet-end-before-content, model: quiet-end-before-content, fallback: ["${MODEL}"] }
  from-the-fleet: { models: [gone:7b], fallback: [second/ok] }
  private: { provider: second, model: ok, home: only }
`;

  beforeAll(async () => {
    stranger = await startFake(KEY);
    fake = await startFake(KEY, stranger.url);
    configDir = mkdtempSync(join(tmpdir(), 'lai-config-'));
    writeFileSync(join(configDir, 'providers.yaml'), providersFile());
    writeFileSync(join(configDir, 'routing.yaml'), routingFile());
    fleet = await Fleet.start({
      env: {
        LAI_CONFIG_DIR: configDir,
        CLOUD_KEY: KEY,
        WRONG_KEY: 'sk-wrong-0123456789',
        OPENAI_API_KEY: 'sk-must-never-be-used',
      },
      nodes: [
        {
          name: 'attic',
          models: `${MODEL}=0.3GB,slots=2,tps=100,ctx=8192,caps=chat+tools`,
          tuning: { prefillMs: 1, coldLoadMsPerGb: 20 },
        },
      ],
    });
    await expectModels();
  });
  afterAll(async () => {
    await fleet?.stop();
    fake?.program.kill('SIGKILL');
    stranger?.program.kill('SIGKILL');
    rmSync(configDir, { recursive: true, force: true });
  });

  const client = () => new OpenAI({ baseURL: `${fleet.url}/v1`, apiKey: fleet.key, maxRetries: 0 });
  const expectModels = async () => {
    for (;;) {
      const { data } = (await (
        await fetch(`${fleet.url}/v1/models`, { headers: { authorization: `Bearer ${fleet.key}` } })
      ).json()) as {
        data: { id: string }[];
      };
      if (data.some(({ id }) => id === 'cloud/ok') && data.some(({ id }) => id === 'second/ok')) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const ask = async (
    model: string,
    { stream = false, headers = {} }: { stream?: boolean; headers?: Record<string, string> } = {},
  ) => {
    const response = await fetch(`${fleet.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json', 'x-lai-timeout': '20', ...headers },
      body: JSON.stringify({
        model,
        stream,
        max_tokens: 4,
        messages: [{ role: 'user', content: SECRET_PROMPT }],
        models: undefined,
      }),
    });
    const text = await response.text();
    const code = /"code":"(\w+)"/.exec(text)?.[1] ?? null;
    return {
      ...{ status: response.status, text, code },
      provider: response.headers.get('x-lai-provider'),
      node: response.headers.get('x-lai-node'),
      fallback: response.headers.get('x-lai-fallback'),
    };
  };
  const asked = async (model: string) => (await fake.seen()).filter((call) => call.model === model).length;

  it('answers the official SDK through a provider, streamed and whole, and lists its models', async () => {
    const openai = client();
    const body = { model: 'cloud/ok', messages: [{ role: 'user' as const, content: 'Hi.' }] };
    const whole = await openai.chat.completions.create(body);
    expect(whole.choices[0]?.message.content).toBe('[fake provider] Hello.');
    expect(whole.usage).toMatchObject({ prompt_tokens: 12, completion_tokens: 3 });
    let said = '';
    for await (const chunk of await openai.chat.completions.create({ ...body, stream: true }))
      said += chunk.choices[0]?.delta.content ?? '';
    expect(said).toBe('[fake provider] Hello.');
    const listed = (await openai.models.list()).data.find(({ id }) => id === 'cloud/ok');
    expect(listed).toMatchObject({ provider: 'cloud', place: 'cloud', warmStatus: 'remote' });
    const vectors = await openai.embeddings.create({ model: 'second/embed-ok', input: 'x', encoding_format: 'float' });
    expect(vectors.data[0]?.embedding).toEqual([0.25, -0.5]);
  });

  it.each<[string, string, { status: number; provider: string | null; fallback: string | null }]>([
    [
      'a provider that is rate-limited',
      'away-first',
      { status: 200, provider: 'cloud', fallback: 'limited (provider_rate_limited)' },
    ],
    [
      'providers that are overloaded, before their first content',
      'chain',
      { status: 200, provider: 'second', fallback: 'busy (provider_overloaded), error-before-content (provider_overloaded)' },
    ],
    [
      'a provider whose answer ends before it began',
      'to-the-fleet',
      { status: 200, provider: null, fallback: 'quiet-end-before-content (incomplete_answer)' },
    ],
    ['a fleet that does not have the model', 'from-the-fleet', { status: 200, provider: 'second', fallback: null }],
  ])('goes on to the next step after %s', async (_name, model, expected) => {
    const { status, provider, fallback, text } = await ask(model);
    expect({ status, provider, fallback }, text).toEqual(expected);
  });

  it.each<[string, string, number, string]>([
    ['a spent account', 'spent/quota', 429, 'provider_quota_exhausted'],
    ['a prompt that is too long', 'too-long/too-long', 400, 'context_length_exceeded'],
    ['a page instead of an answer', 'html/html', 502, 'provider_error'],
    ['a redirect', 'redirect/redirect', 502, 'provider_error'],
    ['an answer that ends without its end', 'quiet-end/quiet-end', 502, 'incomplete_answer'],
    ['a connection that is cut', 'cut/cut', 502, 'incomplete_answer'],
  ])('tells the client of %s', async (_name, model, status, code) => {
    const answer = await ask(model);
    expect({ status: answer.status, code: answer.code }, answer.text).toEqual({ status, code });
  });

  it('asks a provider once more after a transient failure, and no more often', async () => {
    expect((await ask('broken-once/broken-once')).status).toBe(200);
    expect(await asked('broken-once')).toBe(2);
    expect((await ask('broken/broken')).code).toBe('provider_error');
    expect(await asked('broken')).toBe(2);
  });

  it('ends a stream that fails after its first content with one error, and asks nobody else', async () => {
    const before = (await fake.seen()).length;
    const { status, text } = await ask('midstream-error/midstream-error', { stream: true });
    expect(status).toBe(200);
    expect(text.match(/"error":/g)).toHaveLength(1);
    expect(text).not.toContain('[DONE]');
    expect((await fake.seen()).length).toBe(before + 1);
  });

  it('gives up a provider that does not answer in time', async () => {
    // Home and cloud have longer limits; this one was configured with 1.5 s.
    const answer = await ask('hang-after-head/hang-after-head');
    expect({ status: answer.status, code: answer.code }).toEqual({ status: 504, code: 'stall_timeout' });
  });

  it('never sends a key or a prompt to an origin that nobody configured', async () => {
    await ask('redirect/redirect');
    expect(await stranger.seen()).toEqual([]);
  });

  it('never takes a key of the environment that was not named', async () => {
    const answer = await ask('wrong');
    expect(answer.status).toBeGreaterThanOrEqual(500);
    expect((await fake.seen()).some(({ authorization }) => authorization.includes('must-never-be-used'))).toBe(false);
  });

  it('keeps keys and prompts out of its log', () => {
    expect(fleet.coordinator.text).not.toContain(KEY);
    expect(fleet.coordinator.text).not.toContain('sk-wrong-0123456789');
    expect(fleet.coordinator.text).not.toContain(SECRET_PROMPT);
  });

  it('asks no cloud provider for a request that stays home, whoever says so', async () => {
    const before = (await fake.seen()).filter(({ path }) => path === '/v1/chat/completions').length;
    const refused = [await ask('private'), await ask('cloud/ok', { headers: { 'x-lai-home': 'only' } })];
    expect(refused.map(({ status, code }) => ({ status, code }))).toEqual([
      { status: 403, code: 'stays_home' },
      { status: 403, code: 'stays_home' },
    ]);
    writeFileSync(join(configDir, 'routing.yaml'), routingFile('only'));
    await expect.poll(async () => (await ask('second/ok')).code, { timeout: 15_000 }).toBe('stays_home');
    const during = (await fake.seen()).filter(({ path }) => path === '/v1/chat/completions').length;
    for (const model of ['cloud/ok', 'chain', 'away-first', 'from-the-fleet', 'auto']) await ask(model);
    expect((await fake.seen()).filter(({ path }) => path === '/v1/chat/completions').length).toBe(during);
    expect(during - before).toBeLessThan(100);
    writeFileSync(join(configDir, 'routing.yaml'), routingFile());
    await expect.poll(async () => (await ask('second/ok')).status, { timeout: 15_000 }).toBe(200);
  });

  it('answers every request while its files change, also to broken ones', async () => {
    const answers: Promise<number>[] = [];
    for (let change = 0; change < 8; change++) {
      writeFileSync(
        join(configDir, 'providers.yaml'),
        change % 2 === 0 ? `${providersFile()}  - { id: m${change}, providerId: second }\n` : 'providers: [',
      );
      for (let count = 0; count < 8; count++) answers.push(ask('second/ok').then(({ status }) => status));
      await Promise.all(answers.slice(-4));
    }
    expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
  });
});
