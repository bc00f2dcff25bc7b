import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MockEngine } from './mock-engine.ts';
import { DIALECTS } from './options.ts';
import { quickEngine } from './rig.ts';

describe.each(DIALECTS)('the unmodified openai package against %s', (dialect) => {
  let mock: MockEngine;
  let openai: OpenAI;

  beforeAll(async () => {
    const models = 'small=1GB,caps=chat+tools+vision+embedding,dims=16';
    mock = await quickEngine({ dialect, models });
    openai = new OpenAI({ baseURL: `${mock.url}/v1`, apiKey: 'none', maxRetries: 0 });
  });
  afterAll(() => mock.close());

  it('streams', async () => {
    const stream = await openai.chat.completions.create({
      model: 'small',
      messages: [{ role: 'user', content: 'Once upon a time' }],
      max_tokens: 6,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let finish: string | null = null;
    let completionTokens = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
      completionTokens = chunk.usage?.completion_tokens ?? completionTokens;
    }
    expect(text).toMatch(/^\[simulated on rtx-3070\]( \p{L}+){5}$/u);
    expect([finish, completionTokens]).toEqual(['length', 6]);
  });

  it('reads a whole answer that ends by itself', async () => {
    const answer = await openai.chat.completions.create({ model: 'small', messages: [{ role: 'user', content: 'hello' }] });
    expect(answer.choices[0]?.finish_reason).toBe('stop');
    expect(answer.choices[0]?.message.content).toMatch(/^\[simulated on rtx-3070\] .*\.$/);
    expect(answer.system_fingerprint).toBe('fp_lai_mock');
    expect(answer.usage?.completion_tokens).toBeLessThan(80);
  });

  it('puts a streamed tool call together', async () => {
    const runner = openai.chat.completions.stream({
      model: 'small',
      messages: [{ role: 'user', content: 'what is the weather? #tool' }],
      tools: [
        {
          type: 'function',
          function: {
            name: 'weather',
            parameters: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } },
          },
        },
      ],
    });
    const [choice] = (await runner.finalChatCompletion()).choices;
    expect(choice?.finish_reason).toBe('tool_calls');
    const [tool] = choice?.message.tool_calls ?? [];
    expect(tool?.type === 'function' && tool.function.name).toBe('weather');
    expect(tool?.type === 'function' && JSON.parse(tool.function.arguments)).toEqual({
      city: '[simulated on rtx-3070]',
      days: 1,
    });
  });

  it('gets JSON when it asks for JSON', async () => {
    const answer = await openai.chat.completions.create({
      model: 'small',
      messages: [{ role: 'user', content: 'as JSON' }],
      response_format: { type: 'json_object' },
    });
    expect(JSON.parse(answer.choices[0]?.message.content ?? '')).toMatchObject({ simulated: true });
  });

  it('shows an image', async () => {
    const answer = await openai.chat.completions.create({
      model: 'small',
      max_tokens: 2,
      messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }] }],
    });
    expect(answer.usage?.prompt_tokens).toBe(256);
  });

  it('embeds, as it asks (base64) and as numbers, to the same unit vectors', async () => {
    const packed = await openai.embeddings.create({ model: 'small', input: ['one', 'two'] });
    const plain = await openai.embeddings.create({ model: 'small', input: ['one', 'two'], encoding_format: 'float' });
    const [one, two] = plain.data.map(({ embedding }) => embedding);
    expect(Math.hypot(...(one ?? []))).toBeCloseTo(1, 5);
    expect(one).not.toEqual(two);
    packed.data.forEach(({ embedding }, i) => {
      embedding.forEach((x, at) => {
        expect(x).toBeCloseTo(plain.data[i]?.embedding[at] ?? Number.NaN, 6);
      });
    });
  });

  it('is told about a model that is not there', async () => {
    const asked = openai.chat.completions.create({ model: 'nope', messages: [{ role: 'user', content: 'x' }] });
    await expect(asked).rejects.toMatchObject({ status: dialect === 'llama-server' ? 400 : 404 });
  });
});
