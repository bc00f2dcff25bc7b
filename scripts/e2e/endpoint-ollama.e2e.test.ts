import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  OllamaChatLine,
  OllamaEmbedResult,
  OllamaGenerateLine,
  OllamaPs,
  OllamaShow,
  OllamaTags,
} from '../../shared/src/ollama.ts';
import { Fleet } from './fleet.ts';

const MODEL = 'story:1b';
const messages = [{ role: 'user', content: 'Hi.' }];
const tools = [
  { type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } },
];

describe("Ollama's API", () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await Fleet.start({
      nodes: [
        {
          name: 'only',
          models: `${MODEL}=0.1GB,slots=2,tps=0,ctx=4096,caps=chat+completion+tools+json+vision; embed=0.1GB,caps=embedding,dims=8; cold:7b=0.1GB,caps=chat+completion`,
          tuning: { coldLoadMsPerGb: 0 },
        },
      ],
      env: { LAI_KEEP_ALIVE_MS: '200' },
    });
  });
  afterAll(() => fleet?.stop());

  /** As the `ollama` CLI comes: no header, the key in the path, any content type. */
  const ask = (path: string, body?: Record<string, unknown>, method = body ? 'POST' : 'GET') =>
    fetch(`${fleet.url}/k/${fleet.key}${path}`, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
  const json = async (path: string, body?: Record<string, unknown>) => (await ask(path, body)).json();
  const chatted = async (body: Record<string, unknown>) => OllamaChatLine.parse(await json('/api/chat', body));
  const generated = async (body: Record<string, unknown>) => OllamaGenerateLine.parse(await json('/api/generate', body));
  const lines = async (path: string, body: Record<string, unknown>) => {
    const response = await ask(path, body);
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    return (await response.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  };

  it('is there, for whoever looks without a key', async () => {
    expect(await (await fetch(fleet.url)).text()).toContain('Ollama is running');
    expect((await fetch(fleet.url, { method: 'HEAD' })).status).toBe(200);
    expect(((await (await fetch(`${fleet.url}/api/version`)).json()) as { version: string }).version).toMatch(/^0\.\d+\.\d+$/);
  });

  it('lists models of the whole fleet, and which are in memory', async () => {
    expect(OllamaTags.parse(await json('/api/tags')).models.map(({ name }) => name)).toEqual(['cold:7b', 'embed:latest', MODEL]);
    const running = OllamaPs.parse(await json('/api/ps')).models.map(({ name }) => name);
    expect(OllamaTags.parse(await json('/api/tags')).models.map(({ name }) => name)).toEqual(expect.arrayContaining(running));
    const shown = OllamaShow.parse(await json('/api/show', { model: MODEL }));
    expect(shown).toMatchObject({
      capabilities: ['completion', 'tools', 'vision'],
      model_info: { 'story.context_length': 4_096 },
      details: { parameter_size: '1B' },
    });
    expect(await json('/api/show', { name: 'embed:latest' })).toMatchObject({ capabilities: ['embedding'] });
  });

  it('chats in lines, and whole when asked', async () => {
    const all = (await lines('/api/chat', { model: MODEL, messages, options: { num_predict: 4 } })).map((line) =>
      OllamaChatLine.parse(line),
    );
    const last = all.at(-1);
    expect(last).toMatchObject({ done: true, done_reason: 'length', eval_count: 4 });
    expect(last?.prompt_eval_count).toBeGreaterThan(0);
    const whole = await chatted({ model: MODEL, messages, stream: false, options: { num_predict: 4 } });
    expect(whole.message.content).toBe(all.map(({ message }) => message.content).join(''));
  });

  it('calls tools, with arguments as an object, and takes their results', async () => {
    const all = await lines('/api/chat', { model: MODEL, messages: [{ role: 'user', content: 'weather? #tool' }], tools });
    const call = all.find(({ message }) => message.tool_calls)?.message.tool_calls[0];
    expect(call.function).toMatchObject({ name: 'weather', arguments: { city: expect.any(String) } });
    const next = await chatted({
      model: MODEL,
      stream: false,
      tools,
      messages: [
        ...messages,
        { role: 'assistant', content: '', tool_calls: [{ function: call.function }] },
        { role: 'tool', tool_name: 'weather', content: 'rain' },
      ],
    });
    expect(next.message.content).toContain('simulated');
  });

  it('generates with a template, raw, as JSON and from an image', async () => {
    const pieces = (await lines('/api/generate', { model: MODEL, prompt: 'Hi.', options: { num_predict: 3 } })).map((line) =>
      OllamaGenerateLine.parse(line),
    );
    expect(pieces.map(({ response }) => response).join('')).toContain('simulated');
    expect(
      await json('/api/generate', { model: MODEL, prompt: 'x', raw: true, stream: false, options: { num_predict: 3 } }),
    ).toMatchObject({ done: true, eval_count: 3 });
    const asked = await generated({
      model: MODEL,
      prompt: 'x',
      stream: false,
      format: { type: 'object', properties: { a: { type: 'integer' } } },
    });
    expect(JSON.parse(asked.response)).toEqual({ a: 1 });
    const seen = await generated({ model: MODEL, prompt: 'what?', images: ['iVBORw0KGgo='], stream: false });
    expect(seen.prompt_eval_count).toBeGreaterThan(200);
  });

  it('loads a model when there is nothing to say', async () => {
    const isWarm = async () => OllamaPs.parse(await json('/api/ps')).models.some(({ name }) => name === 'cold:7b');
    expect(await json('/api/generate', { model: 'cold:7b' })).toMatchObject({ done: true, done_reason: 'load' });
    await fleet.until('the model is warm', (status) =>
      status.nodes.some(({ snapshot }) => snapshot?.models.some(({ id, state }) => id === 'cold:7b' && state === 'warm')),
    );
    expect(await isWarm()).toBe(true);
    expect(await json('/api/generate', { model: 'embed' })).toMatchObject({ done_reason: 'load' });
  });

  it('embeds, one and many, old and new', async () => {
    const { embeddings } = OllamaEmbedResult.parse(await json('/api/embed', { model: 'embed', input: ['a', 'b'] }));
    expect(embeddings.map(({ length }) => length)).toEqual([8, 8]);
    expect(await json('/api/embeddings', { model: 'embed', prompt: 'a' })).toEqual({ embedding: embeddings[0] });
  });

  it('keeps the line open with lines that say nothing', async () => {
    const all = await lines('/api/chat', {
      model: MODEL,
      messages: [{ role: 'user', content: 'x #fault=stall:0:700' }],
      options: { num_predict: 3 },
    });
    expect(all[0]).toMatchObject({ message: { content: '' }, done: false });
    expect(all.at(-1)).toMatchObject({ done: true });
  });

  it('tells errors as a sentence, in the stream too', async () => {
    const unknown = await ask('/api/chat', { model: 'nope', messages });
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toEqual({ error: expect.stringContaining('nope') });
    expect(await json('/api/show', { model: 'nope' })).toEqual({ error: "model 'nope' not found" });
    const broken = await lines('/api/chat', {
      model: MODEL,
      messages: [{ role: 'user', content: 'x #fault=reset:3' }],
      options: { num_predict: 20 },
    });
    expect(broken.at(-1)).toEqual({ error: expect.any(String) });
    const keyless = await fetch(`${fleet.url}/api/tags`);
    expect(keyless.status).toBe(401);
    expect(await keyless.json()).toEqual({ error: expect.stringContaining('lai_') });
  });
});
