import { afterEach, describe, expect, it } from 'vitest';
import type { MockEngine } from './mock-engine.ts';
import type { DialectName } from './options.ts';
import { call, chatBody, payloads, quickEngine, saidBy, until } from './rig.ts';

const running: MockEngine[] = [];
const start = async (options: Parameters<typeof quickEngine>[0]): Promise<MockEngine> => {
  const mock = await quickEngine(options);
  running.push(mock);
  return mock;
};
afterEach(async () => {
  await Promise.all(running.splice(0).map((mock) => mock.close()));
});

/** Where a request goes and what it asks for: the two doors of Ollama count as two. */
type Door = DialectName | 'ollama-native';
const dialectOf = (door: Door): DialectName => (door === 'ollama-native' ? 'ollama' : door);
const ask = (door: Door, mock: MockEngine, content = 'x', stream = true) =>
  door === 'ollama-native'
    ? call(`${mock.url}/api/chat`, chatBody(content, { stream, options: { num_predict: 8 } }))
    : call(`${mock.url}/v1/chat/completions`, chatBody(content, { stream, max_tokens: 8 }));

const isComplete = (body: string): boolean =>
  (/"finish_reason":"/.test(body) && payloads(body).at(-1) === '[DONE]') || /"done":true/.test(body);

const FIVE_TOKENS = /^\[simulated on rtx-3070\]( \S+){4}$/;

describe('a crash in the middle of a stream wears the disguise of its engine', () => {
  const disguises: [door: Door, last: string, error: string | null][] = [
    [
      'ollama',
      '"model":"","system_fingerprint":"fp_lai_mock","choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}',
      null,
    ],
    ['ollama-native', '{"error":"an error was encountered while running the model: unexpected EOF"}', null],
    ['llama-server', 'proxy error: Failed to read connection', null],
    ['vllm', '[DONE]', null],
  ];
  it.each(disguises)('%s', async (door, last, error) => {
    const mock = await start({ dialect: dialectOf(door) });
    mock.engine.faults.arm({ kind: 'crash', afterTokens: 5 });
    const answer = await ask(door, mock);
    expect(answer.status).toBe(200);
    expect(answer.error).toBe(error);
    expect(payloads(answer.body).at(-1)?.endsWith(last)).toBe(true);
    expect(saidBy(answer.body.replace(/proxy error.*/, ''))).toMatch(FIVE_TOKENS);
    expect(isComplete(answer.body)).toBe(false);
    expect(mock.engine.models[0]?.counts.crashes).toBe(1);
  });

  it('a llama-server without a router just vanishes', async () => {
    const mock = await start({ dialect: 'llama-server', isSingleModel: true });
    mock.engine.faults.arm({ kind: 'crash', afterTokens: 5 });
    const answer = await ask('llama-server', mock);
    expect([answer.status, answer.error]).toEqual([200, 'ECONNRESET']);
  });

  it('takes everybody on that model with it, and nobody else', async () => {
    const mock = await start({ dialect: 'llama-server', tuning: { tps: 200 } });
    mock.engine.faults.arm({ kind: 'crash', afterTokens: 4 });
    const [one, two, other] = await Promise.all([
      ask('llama-server', mock),
      ask('llama-server', mock),
      call(`${mock.url}/v1/chat/completions`, chatBody('x', { model: 'other', stream: true, max_tokens: 8 })),
    ]);
    expect([one, two, other].map(({ body }) => isComplete(body))).toEqual([false, false, true]);
  });
});

describe('a crash before the first token is an error with a status', () => {
  it.each(['ollama', 'ollama-native', 'llama-server', 'vllm'] as const)('%s, whole', async (door) => {
    const mock = await start({ dialect: dialectOf(door) });
    mock.engine.faults.arm({ kind: 'crash' });
    expect((await ask(door, mock, 'x', false)).status).toBe(500);
  });

  it.each([
    ['ollama', 'model runner has unexpectedly stopped'],
    ['ollama-native', 'model runner has unexpectedly stopped'],
  ] as const)('%s, streamed: it has sent no headers yet', async (door, words) => {
    const mock = await start({ dialect: 'ollama' });
    mock.engine.faults.arm({ kind: 'crash' });
    const answer = await ask(door, mock);
    expect(answer.status).toBe(500);
    expect(answer.body).toContain(words);
  });

  it.each(['llama-server', 'vllm'] as const)('%s, streamed: its headers are out, so it ends under 200', async (door) => {
    const mock = await start({ dialect: door });
    mock.engine.faults.arm({ kind: 'crash' });
    const answer = await ask(door, mock);
    expect([answer.status, saidBy(answer.body.replace(/proxy error.*/, ''))]).toEqual([200, '']);
  });

  it('a vLLM whose core is dead says so, and ends with the first request that notices', async () => {
    const codes: number[] = [];
    const mock = await start({ dialect: 'vllm', onExit: (code) => codes.push(code) });
    mock.engine.faults.arm({ kind: 'crash' });
    await ask('vllm', mock);
    expect((await call(`${mock.url}/health`)).status).toBe(503);
    expect((await ask('vllm', mock)).status).toBe(500);
    await until('the process is gone', () => codes.length > 0);
    expect((await ask('vllm', mock)).error).toBe('ECONNREFUSED');
  });
});

describe('streams that end or go on as no stream should', () => {
  it.each(['ollama', 'ollama-native', 'llama-server', 'vllm'] as const)(
    'end: a proper end without a reason on %s',
    async (door) => {
      const mock = await start({ dialect: dialectOf(door) });
      mock.engine.faults.arm({ kind: 'end', afterTokens: 5 });
      const answer = await ask(door, mock);
      expect([answer.status, answer.error, isComplete(answer.body)]).toEqual([200, null, false]);
      expect(saidBy(answer.body)).toMatch(FIVE_TOKENS);
    },
  );

  it.each(['ollama', 'ollama-native', 'llama-server', 'vllm'] as const)(
    'reset: what was said arrives, then the connection breaks on %s',
    async (door) => {
      const mock = await start({ dialect: dialectOf(door) });
      mock.engine.faults.arm({ kind: 'reset', afterTokens: 5 });
      const answer = await ask(door, mock);
      expect([answer.status, answer.error]).toEqual([200, 'ECONNRESET']);
      expect(saidBy(answer.body)).toMatch(FIVE_TOKENS);
    },
  );

  it('no-done: a reason, but no terminator', async () => {
    const mock = await start({ dialect: 'llama-server' });
    mock.engine.faults.arm({ kind: 'no-done' });
    const { body } = await ask('llama-server', mock);
    expect(body).toContain('"finish_reason":"length"');
    expect(body).not.toContain('[DONE]');
  });

  it('sse-error: an error and then a [DONE] that proves nothing', async () => {
    const mock = await start({ dialect: 'vllm' });
    mock.engine.faults.arm({ kind: 'sse-error', afterTokens: 2 });
    const told = payloads((await ask('vllm', mock)).body);
    expect(told.at(-2)).toContain('"type":"InternalServerError"');
    expect(told.at(-1)).toBe('[DONE]');
  });

  it('repeat-guard: stops without a reason; not streamed, with a usage of zeros', async () => {
    const mock = await start({ dialect: 'ollama' });
    mock.engine.faults.arm({ kind: 'repeat-guard', afterTokens: 3, times: 2 });
    const streamed = await call(`${mock.url}/v1/completions`, { model: 'small', prompt: 'x', stream: true, max_tokens: 8 });
    expect([streamed.error, isComplete(streamed.body)]).toEqual([null, false]);
    const whole = await call(`${mock.url}/v1/completions`, { model: 'small', prompt: 'x', max_tokens: 8 });
    expect(JSON.parse(whole.body)).toMatchObject({
      choices: [{ finish_reason: null }],
      usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
    });
  });

  it('garbage: a line that is no JSON, and the answer goes on', async () => {
    const mock = await start({ dialect: 'llama-server' });
    mock.engine.faults.arm({ kind: 'garbage', afterTokens: 2 });
    const { body } = await ask('llama-server', mock);
    expect(() => payloads(body).map((payload) => payload === '[DONE]' || JSON.parse(payload))).toThrow();
    expect(isComplete(body)).toBe(true);
  });

  it('stall: nothing for a while, then the rest', async () => {
    const mock = await start({ dialect: 'ollama' });
    mock.engine.faults.arm({ kind: 'stall', afterTokens: 3, ms: 120 });
    const begunMs = performance.now();
    const { body } = await ask('ollama', mock);
    expect(performance.now() - begunMs).toBeGreaterThan(110);
    expect(isComplete(body)).toBe(true);
  });

  it('slow: so much per token from there on', async () => {
    const mock = await start({ dialect: 'ollama' });
    mock.engine.faults.arm({ kind: 'slow', afterTokens: 2, ms: 20 });
    const begunMs = performance.now();
    await ask('ollama', mock);
    expect(performance.now() - begunMs).toBeGreaterThan(100);
  });

  it('hang: nothing more, for ever, until the other side gives up', async () => {
    const mock = await start({ dialect: 'llama-server' });
    mock.engine.faults.arm({ kind: 'hang', afterTokens: 3 });
    const stop = new AbortController();
    const hung = call(`${mock.url}/v1/chat/completions`, chatBody('x', { stream: true, max_tokens: 8 }), { signal: stop.signal });
    await until('three tokens are out', () => mock.engine.census.tokens === 3);
    stop.abort();
    expect(isComplete((await hung).body)).toBe(false);
    await until('the slot is free', () => mock.engine.models[0]?.busy.size === 0);
    expect(mock.engine.census.tokens).toBe(3);
  });
});

describe('bytes that arrive in odd pieces', () => {
  const whole = async (kind: 'split' | 'coalesce' | null) => {
    const mock = await start({ dialect: 'llama-server' });
    if (kind) mock.engine.faults.arm({ kind });
    return call(`${mock.url}/v1/chat/completions`, chatBody('Once', { stream: true, max_tokens: 40 }));
  };

  it('split cuts also inside a character, and loses nothing', async () => {
    const [cut, usual] = [await whole('split'), await whole(null)];
    const isCutInside = (chunk: Buffer): boolean => chunk.toString('utf8').includes('\ufffd');
    expect(cut.chunks.some(isCutInside)).toBe(true);
    expect(saidBy(cut.body)).toBe(saidBy(usual.body));
    expect(saidBy(cut.body)).toMatch(/[^\u0020-\u007e]/);
  });

  it('coalesce puts many events into one chunk', async () => {
    const answer = await whole('coalesce');
    expect(answer.chunks.some((chunk) => payloads(chunk.toString()).length > 5)).toBe(true);
    expect(isComplete(answer.body)).toBe(true);
  });
});

describe('requests that are turned away', () => {
  it.each([
    ['ollama', 'busy', 503],
    ['ollama', 'error', 500],
    ['llama-server', 'loading', 503],
    ['llama-server', 'error', 500],
    ['vllm', 'error', 500],
  ] as const)('%s: %s is %i', async (door, kind, status) => {
    const mock = await start({ dialect: door });
    mock.engine.faults.arm({ kind });
    expect((await ask(door, mock)).status).toBe(status);
    expect((await ask(door, mock)).status).toBe(200);
  });

  it('oom: the load fails with the words by which out-of-memory is recognised', async () => {
    const mock = await start({ dialect: 'ollama' });
    mock.engine.faults.arm({ kind: 'oom', model: 'small' });
    const answer = await ask('ollama-native', mock);
    expect(answer.status).toBe(500);
    expect(JSON.parse(answer.body).error).toMatch(/^llama-server process has terminated.*cudaMalloc failed: out of memory/s);
    expect((await ask('ollama-native', mock)).status).toBe(200);
  });

  it('refuse: the port is closed for a while', async () => {
    const mock = await start({ dialect: 'ollama' });
    await call(`${mock.url}/_mock/fault`, { kind: 'refuse', ms: 1_000 });
    await until('nobody listens', async () => (await call(mock.url)).error === 'ECONNREFUSED');
    await until('somebody listens again', async () => (await call(mock.url)).status === 200);
  });
});

describe('faults that requests carry themselves', () => {
  it('work in a header and in the prompt, when that is allowed', async () => {
    const mock = await start({ dialect: 'ollama', allowFaults: true });
    const headed = await call(`${mock.url}/v1/chat/completions`, chatBody('x', { stream: true, max_tokens: 8 }), {
      headers: { 'x-lai-mock-fault': 'end:5' },
    });
    const marked = await ask('ollama', mock, 'please #fault=end:5');
    for (const { body } of [headed, marked]) {
      expect(isComplete(body)).toBe(false);
      expect(saidBy(body)).toMatch(FIVE_TOKENS);
    }
    expect(isComplete((await ask('ollama', mock, 'please #fault=end:5@gaming-pc')).body)).toBe(true);
  });

  it('are only words, when it is not', async () => {
    const mock = await start({ dialect: 'ollama' });
    expect(isComplete((await ask('ollama', mock, '#fault=crash')).body)).toBe(true);
  });
});

describe('poison', () => {
  it('kills the runner whenever a prompt contains it', async () => {
    const mock = await start({ dialect: 'ollama' });
    mock.engine.faults.arm({ kind: 'poison', text: 'XYZZY', times: 0 });
    expect((await ask('ollama', mock, 'say XYZZY')).status).toBe(500);
    expect((await ask('ollama', mock, 'say nothing')).status).toBe(200);
    expect((await ask('ollama', mock, 'XYZZY again')).status).toBe(500);
    expect(mock.engine.models[0]?.counts.crashes).toBe(2);
  });

  it('kills the whole process, when it is that strong', async () => {
    const codes: number[] = [];
    const mock = await start({ dialect: 'llama-server', onExit: (code) => codes.push(code) });
    mock.engine.faults.arm({ kind: 'poison', text: 'XYZZY', scope: 'process', exitCode: 139 });
    const answer = await ask('llama-server', mock, 'say XYZZY');
    expect(answer.error).toBe('ECONNRESET');
    await until('the process is gone', () => codes[0] === 139);
    expect((await ask('llama-server', mock)).error).toBe('ECONNREFUSED');
  });
});

describe('unloading that does not work', () => {
  it('stuck-unload: it says yes and keeps the memory', async () => {
    const mock = await start({ dialect: 'ollama' });
    await call(`${mock.url}/api/generate`, { model: 'small' });
    const fullBytes = mock.engine.ledger.usedBytes;
    mock.engine.faults.arm({ kind: 'stuck-unload' });
    await call(`${mock.url}/api/generate`, { model: 'small', keep_alive: 0 });
    expect(mock.engine.models[0]?.phase).toBe('unloading');
    expect(mock.engine.ledger.usedBytes).toBe(fullBytes);
    expect(JSON.parse((await call(`${mock.url}/api/ps`)).body).models).toHaveLength(1);
  });

  it('sleep-crash: vLLM answers 200 and is dead', async () => {
    const mock = await start({ dialect: 'vllm' });
    mock.engine.faults.arm({ kind: 'sleep-crash' });
    expect((await call(`${mock.url}/sleep`, '', { method: 'POST' })).status).toBe(200);
    expect((await call(`${mock.url}/health`)).status).toBe(503);
  });
});
