import OpenAI, { APIError } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { answerEvents, answerJson, type ScriptedEngine, scriptedNode, startScriptedEngine } from './scripted-engine.ts';

const CHAT = 'org/story:1b';
const ODD = 'odd:1b';

const chunk = (delta: unknown, finish: string | null = null) =>
  `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: ODD, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

describe("OpenAI's API", () => {
  let engine: ScriptedEngine;
  let fleet: Fleet;
  let openai: OpenAI;

  beforeAll(async () => {
    engine = await startScriptedEngine(
      [
        { name: ODD, capabilities: ['chat', 'tools', 'audio'] },
        { name: 'ranker', capabilities: ['rerank'] },
        { name: 'floats-only', capabilities: ['embedding'] },
      ],
      {
        // Everything that a known engine was seen to get wrong about tool calls, in one stream.
        '/v1/chat/completions': (_, response) =>
          answerEvents(
            response,
            chunk({ role: 'assistant', content: '', reasoning: 'hm' }) +
              chunk({ role: 'assistant', tool_calls: [{ function: { name: 'weather', arguments: { city: 'Köln' } } }] }) +
              chunk({ role: 'assistant', content: '' }, 'stop') +
              'data: [DONE]\n\n',
          ),
        '/v1/rerank': (_, response) =>
          answerJson(response, 200, {
            model: 'ranker',
            object: 'list',
            usage: { prompt_tokens: 4, total_tokens: 4 },
            results: [{ index: 0, relevance_score: 0.5 }],
          }),
        '/v1/audio/transcriptions': (_, response) => answerJson(response, 200, { text: 'good morning' }),
        '/v1/embeddings': (_, response) =>
          answerJson(response, 200, {
            object: 'list',
            model: 'floats-only',
            data: [{ object: 'embedding', index: 0, embedding: [0.5, -0.25] }],
            usage: { prompt_tokens: 1, total_tokens: 1 },
          }),
      },
    );
    fleet = await Fleet.start({
      nodes: [
        {
          name: 'steady',
          models: `${CHAT}=0.1GB,slots=2,tps=0,ctx=4096,caps=chat+completion+tools; embed:latest=0.1GB,caps=embedding,dims=8`,
          tuning: { coldLoadMsPerGb: 0 },
        },
        scriptedNode('odd', engine),
      ],
    });
    openai = new OpenAI({ baseURL: `${fleet.url}/v1`, apiKey: fleet.key, maxRetries: 0 });
  });
  afterAll(async () => {
    await fleet?.stop();
    await engine?.close();
  });

  const tools = [
    {
      type: 'function' as const,
      function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
    },
  ];

  it('completes a text, whole and streamed alike', async () => {
    const ask = { model: CHAT, prompt: 'Once upon', max_tokens: 5 };
    const whole = await openai.completions.create(ask);
    let text = '';
    for await (const piece of await openai.completions.create({ ...ask, stream: true })) text += piece.choices[0]?.text ?? '';
    expect(whole).toMatchObject({
      object: 'text_completion',
      choices: [{ index: 0, finish_reason: 'length' }],
      usage: { completion_tokens: 5 },
    });
    expect(whole.choices[0]?.text).toBe(text);
  });

  it('embeds in base64, as the SDK wants it, and in floats, with the same numbers', async () => {
    const input = ['a', 'b'];
    // Without a wish the SDK asks for base64 and decodes it.
    const decoded = await openai.embeddings.create({ model: 'embed', input });
    const floats = await openai.embeddings.create({ model: 'embed', input, encoding_format: 'float' });
    expect(decoded.data).toHaveLength(2);
    expect(decoded.usage.prompt_tokens).toBe(2);
    for (const [index, { embedding }] of decoded.data.entries())
      for (const [at, value] of embedding.entries())
        expect(value).toBeCloseTo(floats.data[index]?.embedding[at] ?? Number.NaN, 6);
  });

  it('gives base64 although the runtime gives floats only', async () => {
    const { data } = await openai.embeddings.create({ model: 'floats-only', input: 'a' });
    expect(data[0]?.embedding).toEqual([0.5, -0.25]);
  });

  it('lists models with what clients look for, and finds one whose name has a slash and a colon', async () => {
    const ids = (await openai.models.list()).data.map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining([CHAT, 'embed', ODD]));
    expect(await openai.models.retrieve(CHAT)).toMatchObject({
      object: 'model',
      owned_by: 'lai',
      context_length: 4_096,
      max_context_length: 4_096,
    });
    expect(await openai.models.retrieve('embed:latest')).toMatchObject({ id: 'embed', capabilities: ['embedding'] });
  });

  it("makes a defective engine's tool calls right, streamed and whole", async () => {
    const ask = { model: ODD, messages: [{ role: 'user' as const, content: 'Weather?' }], tools };
    const call = { type: 'function', function: { name: 'weather', arguments: '{"city":"Köln"}' } };
    const streamed = await openai.chat.completions.stream(ask).finalChatCompletion();
    const whole = await openai.chat.completions.create(ask);
    for (const { choices } of [streamed, whole]) {
      expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { tool_calls: [call] } });
      expect(choices[0]?.message.tool_calls?.[0]?.id).toMatch(/^call_/);
    }
    expect(whole.choices[0]?.message).toMatchObject({ reasoning: 'hm', reasoning_content: 'hm' });
  });

  it('says developer as system, which is what templates know', async () => {
    const before = engine.seen.length;
    await openai.chat.completions.create({
      model: ODD,
      messages: [
        { role: 'developer', content: 'Be brief.' },
        { role: 'user', content: 'Hi.' },
      ],
    });
    expect(JSON.parse(engine.seen[before]?.body.toString() ?? '').messages[0]).toEqual({ role: 'system', content: 'Be brief.' });
  });

  const post = async (path: string, body: unknown) => {
    const response = await fetch(`${fleet.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };

  it('reranks where a model can, and says so where none can', async () => {
    const ask = { query: 'a', documents: ['b', 'c'] };
    expect(await post('/v1/rerank', { ...ask, model: 'ranker' })).toMatchObject({
      status: 200,
      body: { results: [{ relevance_score: 0.5 }] },
    });
    expect(await post('/v1/rerank', { ...ask, model: CHAT })).toMatchObject({
      status: 400,
      body: { error: { code: 'capability_missing' } },
    });
  });

  it('transcribes where a model hears, and says so where none does', async () => {
    const file = new File([Buffer.from([0, 13, 10, 255, 254])], 'a "b".wav', { type: 'audio/wav' });
    const { text } = await openai.audio.transcriptions.create({ model: ODD, file, language: 'de' });
    expect(text).toBe('good morning');
    const form = await seenForm(engine);
    expect(form.get('model')).toBe(ODD);
    expect(form.get('language')).toBe('de');
    expect(Buffer.from(await (form.get('file') as File).arrayBuffer())).toEqual(Buffer.from([0, 13, 10, 255, 254]));
    await expect(openai.audio.transcriptions.create({ model: CHAT, file })).rejects.toMatchObject({
      status: 400,
      code: 'capability_missing',
    });
    await expect(openai.audio.transcriptions.create({ model: 'nope', file })).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
  });

  it('refuses in a way that the SDK understands and does not repeat', async () => {
    const error = await openai.chat.completions
      .create({ model: 'nope', messages: [{ role: 'user', content: 'x' }] })
      .catch((thrown) => thrown);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ status: 404, code: 'model_not_found', param: 'model', type: 'invalid_request_error' });
    expect(error.requestID).toMatch(/^req_/);
    expect(error.headers.get('x-should-retry')).toBe('false');
  });

  it('says what is wrong with a request of any route', async () => {
    expect(await post('/v1/completions', { model: CHAT })).toMatchObject({ status: 400, body: { error: { param: 'prompt' } } });
    expect(await post('/v1/embeddings', { model: CHAT, input: 'a' })).toMatchObject({
      status: 400,
      body: { error: { code: 'capability_missing' } },
    });
    expect(await post('/v1/embeddings', { model: 'embed', input: 'a', encoding_format: 'hex' })).toMatchObject({
      status: 400,
      body: { error: { param: 'encoding_format' } },
    });
    expect(await post('/v1/rerank', { model: 'ranker' })).toMatchObject({ status: 400, body: { error: { param: 'query' } } });
  });
});

const seenForm = (engine: ScriptedEngine): Promise<FormData> => {
  const { body, contentType } = engine.seen.findLast(({ path }) => path === '/v1/audio/transcriptions') ?? {
    body: '',
    contentType: '',
  };
  return new Response(body as Uint8Array<ArrayBuffer>, { headers: { 'content-type': contentType } }).formData();
};
