import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AnthropicError, AnthropicModelList, CountTokensResult, Message } from '../../shared/src/anthropic.ts';
import { EventSplitter } from '../../shared/src/sse.ts';
import { Fleet } from './fleet.ts';

const MODEL = 'story:1b';
const user = (content: unknown) => ({ role: 'user', content });
const weather = { name: 'weather', description: 'x', input_schema: { type: 'object', properties: { city: { type: 'string' } } } };

describe("Anthropic's API", () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await Fleet.start({
      nodes: [
        { name: 'only', models: `${MODEL}=0.1GB,slots=2,tps=0,ctx=2048,caps=chat+tools+vision`, tuning: { coldLoadMsPerGb: 0 } },
      ],
      env: { LAI_KEEP_ALIVE_MS: '200' },
    });
  });
  afterAll(() => fleet?.stop());

  const ask = (body: Record<string, unknown>, path = '/v1/messages?beta=true') =>
    fetch(`${fleet.url}${path}`, {
      method: 'POST',
      headers: { 'x-api-key': fleet.key, 'anthropic-version': '2023-06-01', 'content-type': 'application/json' },
      body: JSON.stringify({ model: MODEL, max_tokens: 32_000, ...body }),
    });
  const message = async (body: Record<string, unknown>) => Message.parse(await (await ask(body)).json());
  const eventsOf = async (body: Record<string, unknown>) =>
    new EventSplitter().push(await (await ask({ stream: true, ...body })).text()).map((data) => JSON.parse(data));

  it('answers whole', async () => {
    const answer = await message({
      messages: [user('Hi.')],
      system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
    });
    expect(answer).toMatchObject({ role: 'assistant', model: MODEL, stop_reason: 'end_turn', content: [{ type: 'text' }] });
    expect(answer.usage.output_tokens).toBeGreaterThan(0);
    expect(await message({ messages: [user('Hi.')], max_tokens: 3 })).toMatchObject({ stop_reason: 'max_tokens' });
  });

  it('takes what Claude Code sends: system messages in the list, adaptive thinking, betas, tools of its own', async () => {
    const answer = await message({
      system: 'You are a tool.',
      messages: [user([{ type: 'text', text: 'Hi.' }]), { role: 'system', content: 'Mind the date.' }, user('Go on.')],
      thinking: { type: 'adaptive' },
      context_management: { edits: [] },
      output_config: { effort: 'high' },
      metadata: { user_id: 'u' },
      tools: [weather, { type: 'web_search_20250305', name: 'web_search', max_uses: 3 }],
      tool_choice: { type: 'auto' },
    });
    expect(answer.stop_reason).toBe('end_turn');
  });

  it('streams events in their order', async () => {
    const events = await eventsOf({ messages: [user('Hi.')], max_tokens: 3 });
    // Pings come when an answer is slow, which a busy machine's is.
    expect([...new Set(events.map(({ type }) => type))].filter((type) => type !== 'ping')).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: 'max_tokens' }, usage: { output_tokens: 3 } });
  });

  it('uses tools and goes on with their results', async () => {
    const events = await eventsOf({ messages: [user('weather? #tool')], tools: [weather] });
    const start = events.find(({ type }) => type === 'content_block_start');
    const json = events.flatMap(({ delta }) => (delta?.type === 'input_json_delta' ? [delta.partial_json] : [])).join('');
    expect(start.content_block).toMatchObject({ type: 'tool_use', name: 'weather', input: {} });
    expect(JSON.parse(json)).toHaveProperty('city');
    expect(events.at(-2).delta.stop_reason).toBe('tool_use');
    const next = await message({
      tools: [weather],
      messages: [
        user('weather?'),
        {
          role: 'assistant',
          content: [
            { type: 'text', text: 'I look.' },
            { ...start.content_block, input: JSON.parse(json) },
          ],
        },
        user([
          {
            type: 'tool_result',
            tool_use_id: start.content_block.id,
            content: [{ type: 'text', text: 'rain' }],
            is_error: false,
          },
          { type: 'text', text: 'So?' },
        ]),
      ],
    });
    expect(next.stop_reason).toBe('end_turn');
  });

  it('looks at images', async () => {
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } };
    expect((await message({ messages: [user([image, { type: 'text', text: 'What?' }])] })).usage.input_tokens).toBeGreaterThan(
      200,
    );
  });

  it('counts tokens, about', async () => {
    const answer = CountTokensResult.parse(
      await (await ask({ messages: [user('word '.repeat(360))] }, '/v1/messages/count_tokens')).json(),
    );
    expect(answer.input_tokens).toBeGreaterThan(300);
    expect(answer.input_tokens).toBeLessThan(700);
  });

  it('lists models in its own shape for those who name its version', async () => {
    const response = await fetch(`${fleet.url}/v1/models?limit=1000`, {
      headers: { 'x-api-key': fleet.key, 'anthropic-version': '2023-06-01' },
    });
    expect(AnthropicModelList.parse(await response.json())).toMatchObject({
      has_more: false,
      first_id: MODEL,
      data: [{ type: 'model', id: MODEL }],
    });
  });

  it.each<[string, Record<string, unknown>, number, string, RegExp]>([
    ['an unknown model', { model: 'nope', messages: [user('x')] }, 404, 'not_found_error', /nope/],
    ['no messages', { messages: [] }, 400, 'invalid_request_error', /messages/],
    [
      'a prompt that is too long',
      { messages: [user('word '.repeat(20_000))] },
      400,
      'invalid_request_error',
      /^prompt is too long: \d+ tokens > 2048 maximum$/,
    ],
    [
      'a prompt that only the engine finds too long',
      { messages: [user('word '.repeat(2_200))] },
      400,
      'invalid_request_error',
      /^prompt is too long: \d+ tokens > 2048 maximum$/,
    ],
  ])('refuses %s in its own shape', async (_, body, status, type, sentence) => {
    const response = await ask(body);
    const error = AnthropicError.parse(await response.json());
    expect(response.status).toBe(status);
    expect(error).toMatchObject({ type: 'error', error: { type, message: expect.stringMatching(sentence) } });
    expect(response.headers.get('request-id')).toBe(error.request_id);
  });

  it('refuses a wrong key in its own shape', async () => {
    const response = await fetch(`${fleet.url}/v1/messages`, {
      method: 'POST',
      headers: { 'x-api-key': 'sk-ant-1' },
      body: '{}',
    });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ type: 'error', error: { type: 'authentication_error' } });
  });

  it('tells of a stream that broke in the stream, and of waiting by pings', async () => {
    const broken = await eventsOf({ messages: [user('x #fault=reset:3')], max_tokens: 20 });
    expect(broken.at(-1)).toMatchObject({ type: 'error', error: { type: 'api_error' } });
    const slow = await eventsOf({ messages: [user('x #fault=stall:0:700')], max_tokens: 3 });
    expect(slow[0]).toEqual({ type: 'ping' });
    expect(slow.at(-1)).toEqual({ type: 'message_stop' });
  });
});
