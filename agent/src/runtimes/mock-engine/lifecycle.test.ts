import { afterEach, describe, expect, it } from 'vitest';
import type { MockEngine } from './mock-engine.ts';
import { GIB } from './model-spec.ts';
import { call, chatBody, payloads, quickEngine, saidBy, until } from './rig.ts';
import { VramLedger } from './vram-ledger.ts';

const running: MockEngine[] = [];
const start = async (options: Parameters<typeof quickEngine>[0]): Promise<MockEngine> => {
  const mock = await quickEngine(options);
  running.push(mock);
  return mock;
};
afterEach(async () => {
  await Promise.all(running.splice(0).map((mock) => mock.close()));
});

const hosted = (mock: MockEngine, name: string) => {
  const model = mock.engine.models.find(({ spec }) => spec.name === name);
  if (!model) throw new Error(`no model ${name}`);
  return model;
};

const psNames = async (mock: MockEngine): Promise<string[]> =>
  JSON.parse((await call(`${mock.url}/api/ps`)).body).models.map((model: { name: string }) => model.name);

const psOf = async (mock: MockEngine, name: string) =>
  JSON.parse((await call(`${mock.url}/api/ps`)).body).models.find((model: { name: string }) => model.name === `${name}:latest`);

/** A stream that goes on for long enough to be looked at. */
const longStream = (mock: MockEngine, model = 'small', options: Parameters<typeof call>[2] = {}) =>
  call(`${mock.url}/v1/chat/completions`, chatBody('tell me', { model, stream: true, max_tokens: 1000 }), options);

const hasBegun = (mock: MockEngine, model = 'small') =>
  until(`a stream on ${model} has begun`, () => mock.engine.census.recent(100).some((r) => r.model === model && r.tokens > 0));

describe('a cold load of Ollama', () => {
  it('shows nothing in ps until it is done, and the engine goes on answering', async () => {
    const mock = await start({ dialect: 'ollama', tuning: { coldLoadMsPerGb: 1_000 } });
    const answer = call(`${mock.url}/api/generate`, { model: 'small' });
    await until('the load has begun', () => hosted(mock, 'small').phase === 'loading');
    expect(await psNames(mock)).toEqual([]);
    expect((await call(`${mock.url}/api/version`)).status).toBe(200);
    expect(JSON.parse((await answer).body)).toMatchObject({ done: true, done_reason: 'load' });
    expect(await psNames(mock)).toEqual(['small:latest']);
  });

  it('lets warm models work and other cold ones wait', async () => {
    const mock = await start({
      dialect: 'ollama',
      models: 'warm=1GB,warm;slow=2GB;last=0.1GB',
      tuning: { coldLoadMsPerGb: 500 },
    });
    const order: string[] = [];
    const ask = async (model: string): Promise<void> => {
      await call(`${mock.url}/v1/chat/completions`, chatBody('x', { model, max_tokens: 2 }));
      order.push(model);
    };
    const slow = ask('slow');
    await until('the load has begun', () => hosted(mock, 'slow').phase === 'loading');
    await Promise.all([slow, ask('last'), ask('warm')]);
    expect(order).toEqual(['warm', 'slow', 'last']);
    expect(hosted(mock, 'last').counts.loadsStarted).toBe(1);
  });

  it('is thrown away when the request that caused it hangs up', async () => {
    const mock = await start({ dialect: 'ollama', tuning: { coldLoadMsPerGb: 60_000 } });
    const idleBytes = mock.engine.ledger.usedBytes;
    const impatient = new AbortController();
    const answer = call(`${mock.url}/v1/chat/completions`, chatBody('x'), { signal: impatient.signal });
    await until('the load has begun', () => mock.engine.ledger.usedBytes > idleBytes);
    impatient.abort();
    await answer;
    await until('the load is aborted', () => hosted(mock, 'small').counts.loadsAborted === 1);
    expect(mock.engine.ledger.usedBytes).toBe(idleBytes);
    expect(mock.engine.census.active).toBe(0);
  });

  it('has a queue with an end, for models that are not warm only', async () => {
    const mock = await start({
      dialect: 'ollama',
      models: 'warm=0.1GB,warm;slow=1GB;other=0.1GB',
      tuning: { coldLoadMsPerGb: 1_000, maxQueue: 2 },
    });
    const ask = (model: string) => call(`${mock.url}/v1/chat/completions`, chatBody('x', { model, max_tokens: 1 }));
    const slow = ask('slow');
    await until('the load has begun', () => hosted(mock, 'slow').phase === 'loading');
    const others = await Promise.all([
      ask('other'),
      ask('other'),
      ask('other'),
      ask('slow'),
      ...Array.from({ length: 6 }, () => ask('warm')),
    ]);
    expect((await slow).status).toBe(200);
    expect(others.map(({ status }) => status).toSorted()).toEqual([...Array(8).fill(200), 503, 503]);
    const refused = others.find(({ status }) => status === 503);
    expect(JSON.parse(refused?.body ?? '').error.message).toBe(
      'server busy, please try again.  maximum pending requests exceeded',
    );
  });

  it('takes as long as the model is big, and says so in the answer', async () => {
    const mock = await start({ dialect: 'ollama', tuning: { coldLoadMsPerGb: 80 } });
    const ask = async () =>
      JSON.parse((await call(`${mock.url}/api/chat`, chatBody('x', { stream: false, options: { num_predict: 1 } }))).body);
    expect((await ask()).load_duration).toBeGreaterThan(70e6);
    expect((await ask()).load_duration).toBeLessThan(50e6);
  });
});

describe('keep-alive of Ollama', () => {
  const load = (mock: MockEngine, keepAlive: unknown) =>
    call(`${mock.url}/api/generate`, { model: 'small', keep_alive: keepAlive });
  const minutesLeft = async (mock: MockEngine): Promise<number> =>
    (Date.parse((await psOf(mock, 'small')).expires_at) - Date.now()) / 60_000;

  it('is five minutes unless told otherwise, and sticks when a later request does not name it', async () => {
    const mock = await start({ dialect: 'ollama' });
    await call(`${mock.url}/v1/chat/completions`, chatBody('x', { max_tokens: 1 }));
    expect(await minutesLeft(mock)).toBeCloseTo(5, 1);
    await load(mock, '1h30m');
    expect(await minutesLeft(mock)).toBeCloseTo(90, 1);
    await call(`${mock.url}/v1/chat/completions`, chatBody('x', { max_tokens: 1 }));
    expect(await minutesLeft(mock)).toBeCloseTo(90, 1);
  });

  it('unloads when it runs out', async () => {
    const mock = await start({ dialect: 'ollama' });
    await load(mock, '30ms');
    await until('the model is gone', async () => (await psNames(mock)).length === 0);
    expect(hosted(mock, 'small').counts.unloads).toBe(1);
  });

  it('is centuries when negative', async () => {
    const mock = await start({ dialect: 'ollama' });
    await load(mock, -1);
    expect(await minutesLeft(mock)).toBeGreaterThan(60 * 24 * 365 * 100);
  });

  it('of zero unloads politely: the running answer goes on and the memory stays taken until it ends', async () => {
    const mock = await start({ dialect: 'ollama', tuning: { tps: 60, prefillMs: 0 } });
    const stream = call(`${mock.url}/v1/chat/completions`, chatBody('x', { stream: true, max_tokens: 60 }));
    await hasBegun(mock);
    const unload = await load(mock, 0);
    expect(JSON.parse(unload.body).done_reason).toBe('unload');
    expect(await psNames(mock)).toEqual(['small:latest']);
    expect(payloads((await stream).body).at(-1)).toBe('[DONE]');
    await until('the model is gone', async () => (await psNames(mock)).length === 0);
  });
});

describe('room on the GPU', () => {
  it('is made by taking the idle model with the shortest keep-alive', async () => {
    const mock = await start({ dialect: 'ollama', models: 'a=1GB;b=1GB;c=1GB', tuning: { maxLoadedModels: 2 } });
    await call(`${mock.url}/api/generate`, { model: 'a', keep_alive: '1h' });
    await call(`${mock.url}/api/generate`, { model: 'b', keep_alive: '1m' });
    await call(`${mock.url}/api/generate`, { model: 'c' });
    expect((await psNames(mock)).toSorted()).toEqual(['a:latest', 'c:latest']);
  });

  it('is made by memory as well, and waits until the driver has given it back', async () => {
    const mock = await start({ dialect: 'ollama', models: 'a=4GB;b=4GB', tuning: { vramLagMs: 60 } });
    await call(`${mock.url}/api/generate`, { model: 'a' });
    await call(`${mock.url}/api/generate`, { model: 'b' });
    expect(await psNames(mock)).toEqual(['b:latest']);
    const b = await psOf(mock, 'b');
    expect(b.size_vram).toBe(b.size);
  });

  it('waits for a model that is busy', async () => {
    const mock = await start({
      dialect: 'llama-server',
      models: 'small=1GB;other=1GB',
      tuning: { maxLoadedModels: 1, tps: 500 },
    });
    const order: string[] = [];
    const first = call(`${mock.url}/v1/chat/completions`, chatBody('x', { stream: true, max_tokens: 60 })).then((answer) => {
      order.push('small');
      return answer;
    });
    await hasBegun(mock);
    const second = call(`${mock.url}/v1/chat/completions`, chatBody('x', { model: 'other', max_tokens: 1 })).then((answer) => {
      order.push('other');
      return answer;
    });
    expect(payloads((await first).body).at(-1)).toBe('[DONE]');
    expect((await second).status).toBe(200);
    expect(order).toEqual(['small', 'other']);
  });

  it('shrinks when a game takes it: Ollama puts part of the model on the CPU and is slower, llama-server fails', async () => {
    const gpu = new VramLedger({ name: 'rtx-3070', totalBytes: 8 * GIB });
    gpu.setGameBytes(6 * GIB);
    const half = await start({ dialect: 'ollama', name: 'half', gpu, models: 'small=4GB' });
    await call(`${half.url}/api/generate`, { model: 'small' });
    const { size, size_vram } = await psOf(half, 'small');
    expect(size_vram).toBeGreaterThan(0);
    expect(size_vram).toBeLessThan(size);
    await half.close();
    const none = await start({ dialect: 'llama-server', name: 'none', gpu, models: 'small=4GB' });
    const answer = await call(`${none.url}/v1/chat/completions`, chatBody('x'));
    expect(answer.status).toBe(500);
    expect(JSON.parse(answer.body).error.message).toBe('model name=small failed to load');
    const { data } = JSON.parse((await call(`${none.url}/models`)).body);
    expect(data[0].status).toMatchObject({ value: 'unloaded', failed: true, exit_code: 1 });
  });

  it('is too small for a vLLM that wants nine tenths of it: the program does not start', async () => {
    const gpu = new VramLedger({ name: 'rtx-3070', totalBytes: 8 * GIB });
    gpu.setGameBytes(2 * GIB);
    await expect(start({ dialect: 'vllm', gpu })).rejects.toThrow('does not fit');
  });

  it('is held on by the orphans of a killed engine, where a restarted one cannot see it', async () => {
    const gpu = new VramLedger({ name: 'rtx-3070', totalBytes: 8 * GIB });
    const idleBytes = gpu.usedBytes;
    const killed = await start({ dialect: 'ollama', gpu, models: 'small=2GB' });
    await call(`${killed.url}/api/generate`, { model: 'small' });
    killed.engine.die({ exitCode: 137, leavesOrphan: true });
    const again = await start({ dialect: 'ollama', gpu, models: 'small=2GB' });
    expect(await psNames(again)).toEqual([]);
    expect(gpu.usedBytes - idleBytes).toBeGreaterThan(2e9);
  });

  it('of another context size means a new load', async () => {
    const mock = await start({ dialect: 'ollama' });
    const ask = (options: object) =>
      call(`${mock.url}/api/chat`, chatBody('x', { stream: false, options: { num_predict: 1, ...options } }));
    await ask({});
    await ask({ num_ctx: 2048 });
    expect((await psOf(mock, 'small')).context_length).toBe(2048);
    await call(`${mock.url}/v1/chat/completions`, chatBody('x', { max_tokens: 1 }));
    expect((await psOf(mock, 'small')).context_length).toBe(8192);
    expect(hosted(mock, 'small').counts.loadsFinished).toBe(3);
  });
});

describe('a load that waits for room', () => {
  it('and is given up leaves the model that runs alone', async () => {
    const mock = await start({ dialect: 'ollama', tuning: { tps: 60 } });
    const stream = call(`${mock.url}/v1/chat/completions`, chatBody('x', { stream: true, max_tokens: 60 }));
    await hasBegun(mock);
    const leaver = new AbortController();
    const other = call(`${mock.url}/api/chat`, chatBody('x', { options: { num_ctx: 1024 } }), { signal: leaver.signal });
    await until('it waits', () => hosted(mock, 'small').isLeaving);
    leaver.abort();
    await other;
    await until('it is given up', () => mock.engine.census.active === 1);
    expect(hosted(mock, 'small').phase).toBe('warm');
    expect(payloads((await stream).body).at(-1)).toBe('[DONE]');
    expect(hosted(mock, 'small').counts.loadsAborted).toBe(0);
  });
});

describe('slots', () => {
  it.each(['ollama', 'llama-server', 'vllm'] as const)(
    'are never more than there are, with 200 requests at once on %s',
    async (dialect) => {
      const mock = await start({ dialect, models: 'small=1GB,slots=3,caps=chat', tuning: { tps: 20_000, prefillMs: 1 } });
      const model = hosted(mock, 'small');
      let overCommitted = 0;
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, i) =>
          call(`${mock.url}/v1/chat/completions`, chatBody(`question ${i}`, { stream: i % 2 === 0, max_tokens: 20 }), {
            onChunk: () => {
              if (model.busy.size > 3 || mock.engine.ledger.usedBytes > mock.engine.ledger.totalBytes) overCommitted += 1;
            },
          }),
        ),
      );
      expect(answers.every(({ status, error }) => status === 200 && error === null)).toBe(true);
      expect(overCommitted).toBe(0);
      expect(model.counts.maxBusy).toBe(3);
      expect(model.busy.size).toBe(0);
      expect(mock.engine.census.summary()).toMatchObject({ requests: { active: 0, aborted: 0, failed: 0 } });
    },
  );

  it('of llama-server: a request that waits for one gets no headers until it has it', async () => {
    const mock = await start({ dialect: 'llama-server', models: 'small=1GB,slots=1,caps=chat', tuning: { tps: 300 } });
    const stop = new AbortController();
    const first = longStream(mock, 'small', { signal: stop.signal });
    await hasBegun(mock);
    const second = longStream(mock, 'small', { signal: stop.signal });
    await until('one is deferred', async () =>
      (await call(`${mock.url}/metrics?model=small`)).body.includes('requests_deferred 1\n'),
    );
    const { body } = await call(`${mock.url}/slots?model=small`);
    expect(JSON.parse(body)).toMatchObject([{ id: 0, is_processing: true }]);
    stop.abort();
    expect((await first).status).toBe(200);
    expect((await second).status).toBe(0);
  });

  it('of vLLM: a waiting request is counted in the gauges', async () => {
    const mock = await start({ dialect: 'vllm', models: 'small=1GB,slots=1,caps=chat', tuning: { tps: 300 } });
    const stop = new AbortController();
    const streams = [longStream(mock, 'small', { signal: stop.signal }), longStream(mock, 'small', { signal: stop.signal })];
    await until('one waits', async () => /num_requests_waiting\{[^}]*\} 1\n/.test((await call(`${mock.url}/metrics`)).body));
    expect((await call(`${mock.url}/metrics`)).body).toMatch(/num_requests_running\{[^}]*\} 1\n/);
    stop.abort();
    await Promise.all(streams);
  });
});

describe('somebody who hangs up', () => {
  it.each(['ollama', 'llama-server', 'vllm'] as const)(
    'stops the generation within a token and frees the slot on %s',
    async (dialect) => {
      const mock = await start({ dialect, tuning: { tps: 200 } });
      const stop = new AbortController();
      await longStream(mock, 'small', { signal: stop.signal, onChunk: (text) => text.includes(' The') && stop.abort() });
      await until('the abort is seen', () => mock.engine.census.active === 0);
      const [record] = mock.engine.census.recent(1);
      expect(record).toMatchObject({ state: 'aborted', tokensAfterAbort: 0 });
      expect(record?.tokens).toBeLessThan(500);
      expect(hosted(mock, 'small').busy.size).toBe(0);
    },
  );

  it('is counted against an engine that does not care', async () => {
    const mock = await start({ dialect: 'vllm', tuning: { tps: 100 } });
    mock.engine.faults.arm({ kind: 'ignore-abort' });
    const stop = new AbortController();
    const body = chatBody('x', { stream: true, max_tokens: 100 });
    await call(`${mock.url}/v1/chat/completions`, body, { signal: stop.signal, onChunk: () => stop.abort() });
    await until('it has spoken to nobody until the end', () => mock.engine.census.active === 0);
    expect(mock.engine.census.tokensAfterAbort).toBeGreaterThan(10);
  });

  it('leaves the queue, too', async () => {
    const mock = await start({ dialect: 'ollama', tuning: { tps: 300 } });
    const stop = new AbortController();
    const first = longStream(mock, 'small', { signal: stop.signal });
    await hasBegun(mock);
    const leaver = new AbortController();
    const second = longStream(mock, 'small', { signal: leaver.signal });
    await until('one waits', () => hosted(mock, 'small').waiting.length === 1);
    leaver.abort();
    await second;
    await until('none waits', () => hosted(mock, 'small').waiting.length === 0);
    stop.abort();
    await first;
  });
});

describe('the router of llama-server', () => {
  it('kills a running stream on unload, with its own words and a proper end', async () => {
    const mock = await start({ dialect: 'llama-server', tuning: { tps: 300 } });
    const stream = longStream(mock);
    await hasBegun(mock);
    const { body } = await call(`${mock.url}/models/unload`, { model: 'small' });
    expect(JSON.parse(body)).toEqual({ success: true });
    const answer = await stream;
    expect(answer.error).toBeNull();
    expect(answer.body.endsWith('proxy error: Failed to read connection')).toBe(true);
    await until('it is unloaded', () => hosted(mock, 'small').phase === 'cold');
  });

  it('puts an idle model to sleep, gives its memory back and wakes it for a request', async () => {
    const mock = await start({ dialect: 'llama-server', sleepIdleMs: 30 });
    const idleBytes = mock.engine.ledger.usedBytes;
    const status = async () => JSON.parse((await call(`${mock.url}/models`)).body).data[0].status.value;
    await call(`${mock.url}/v1/chat/completions`, chatBody('x', { max_tokens: 1 }));
    await until('it sleeps', async () => (await status()) === 'sleeping');
    expect(mock.engine.ledger.usedBytes).toBe(idleBytes);
    expect(JSON.parse((await call(`${mock.url}/props?model=small`)).body).is_sleeping).toBe(true);
    expect((await call(`${mock.url}/v1/chat/completions`, chatBody('x', { max_tokens: 1 }))).status).toBe(200);
    expect(hosted(mock, 'small').counts.loadsFinished).toBe(2);
  });

  it('tells every change of a model in its event stream', async () => {
    const mock = await start({ dialect: 'llama-server' });
    const stop = new AbortController();
    let seen = '';
    const events = call(`${mock.url}/models/sse`, undefined, { signal: stop.signal, onChunk: (text) => (seen = text) });
    await until('somebody listens', () => mock.engine.watchers.size === 1);
    await call(`${mock.url}/models/load`, { model: 'small' });
    await until('it is loaded', () => seen.includes('"status":"loaded"'));
    await call(`${mock.url}/models/unload`, { model: 'small' });
    await until('it is unloaded', () => seen.includes('"exit_code":0'));
    stop.abort();
    await events;
    const told = payloads(seen).map((text) => JSON.parse(text));
    expect(told.map(({ event, data }) => `${event} ${data.status} ${data.progress?.value ?? ''}`.trim())).toEqual([
      'model_status loading',
      'status_change loading 0',
      'status_change loading 1',
      'status_change loaded',
      'status_change unloaded',
    ]);
  });

  it('makes room before it answers to a load, and refuses one while nobody can be moved out', async () => {
    const tuning = { maxLoadedModels: 1, coldLoadMsPerGb: 10_000, tps: 200 };
    const mock = await start({ dialect: 'llama-server', models: 'a=0.1GB;b=0.1GB', tuning });
    const phases = () => mock.engine.models.map(({ phase }) => phase);
    await call(`${mock.url}/models/load`, { model: 'a' });
    await until('a is there', () => phases()[0] === 'warm');
    expect((await call(`${mock.url}/models/load`, { model: 'b' })).status).toBe(200);
    expect(phases()).toEqual(['cold', 'loading']);
    await until('b is there', () => phases()[1] === 'warm');
    const talking = call(`${mock.url}/v1/chat/completions`, chatBody('x', { model: 'b', max_tokens: 200 }));
    await until('b is busy', () => hosted(mock, 'b').busy.size === 1);
    const refused = await call(`${mock.url}/models/load`, { model: 'a' });
    expect([refused.status, JSON.parse(refused.body).error.message]).toEqual([500, 'model limit reached, try again later']);
    expect((await talking).status).toBe(200);
    expect((await call(`${mock.url}/models/load`, { model: 'a' })).status).toBe(200);
  });

  it('with one model answers 503 to everything while it loads', async () => {
    const mock = await start({ dialect: 'llama-server', isSingleModel: true, tuning: { coldLoadMsPerGb: 1_000 } });
    const health = await call(`${mock.url}/health`);
    expect([health.status, health.body]).toEqual([
      503,
      '{"error":{"message":"Loading model","type":"unavailable_error","code":503}}',
    ]);
    expect((await call(`${mock.url}/v1/chat/completions`, chatBody('x'))).status).toBe(503);
    await until('it is loaded', async () => (await call(`${mock.url}/health`)).status === 200);
  });
});

describe('a sleeping vLLM', () => {
  it('gives the memory back, aborts what runs, lets requests wait and answers them when it wakes', async () => {
    const mock = await start({ dialect: 'vllm', tuning: { tps: 300 } });
    const fullBytes = mock.engine.ledger.usedBytes;
    const stream = longStream(mock);
    await hasBegun(mock);
    expect((await call(`${mock.url}/sleep?level=1`, '', { method: 'POST' })).status).toBe(200);
    expect((await stream).body).toContain('"type":"InternalServerError"');
    expect(mock.engine.ledger.usedBytes).toBeLessThan(fullBytes / 5);
    expect(JSON.parse((await call(`${mock.url}/is_sleeping`)).body)).toEqual({ is_sleeping: true });
    const waiting = call(`${mock.url}/v1/chat/completions`, chatBody('x', { max_tokens: 2 }));
    await until('it waits', () => mock.engine.coldQueueLength === 1);
    expect((await call(`${mock.url}/wake_up`, '', { method: 'POST' })).status).toBe(200);
    expect((await waiting).status).toBe(200);
    expect(mock.engine.ledger.usedBytes).toBe(fullBytes);
  });

  it('cannot wake when a game has the memory', async () => {
    const mock = await start({ dialect: 'vllm' });
    await call(`${mock.url}/sleep`, '', { method: 'POST' });
    mock.engine.ledger.setGameBytes(4 * GIB);
    expect((await call(`${mock.url}/wake_up`, '', { method: 'POST' })).status).toBe(500);
    expect((await call(`${mock.url}/health`)).status).toBe(503);
  });
});

describe('after a crash', () => {
  it('Ollama lists the dead model on, and loads it anew for the next request', async () => {
    const mock = await start({ dialect: 'ollama' });
    await call(`${mock.url}/api/generate`, { model: 'small' });
    await call(`${mock.url}/_mock/crash`, { model: 'small' });
    expect(await psNames(mock)).toEqual(['small:latest']);
    const answer = await call(`${mock.url}/v1/chat/completions`, chatBody('x', { stream: true, max_tokens: 2 }));
    expect(saidBy(answer.body)).toBe('[simulated on rtx-3070] The');
    expect(hosted(mock, 'small').counts.loadsFinished).toBe(2);
  });
});
