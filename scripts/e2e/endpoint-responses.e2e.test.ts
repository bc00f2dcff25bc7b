import OpenAI from 'openai';
import type { ResponseStreamEvent } from 'openai/resources/responses/responses';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';

const MODEL = 'story:1b';
const weather = {
  type: 'function' as const,
  name: 'weather',
  strict: false,
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
};

describe('the Responses API', () => {
  let fleet: Fleet;
  let openai: OpenAI;

  beforeAll(async () => {
    fleet = await Fleet.start({
      nodes: [
        {
          name: 'only',
          models: `${MODEL}=0.1GB,slots=2,tps=0,ctx=4096,caps=chat+tools+json+vision`,
          tuning: { coldLoadMsPerGb: 0 },
        },
      ],
      env: { LAI_KEEP_ALIVE_MS: '200' },
    });
    openai = new OpenAI({ baseURL: `${fleet.url}/v1`, apiKey: fleet.key, maxRetries: 0 });
  });
  afterAll(() => fleet?.stop());

  const eventsOf = async (body: Record<string, unknown>): Promise<ResponseStreamEvent[]> => {
    const events: ResponseStreamEvent[] = [];
    const stream = await openai.responses.create({ model: MODEL, stream: true, ...body } as never);
    for await (const event of stream as unknown as AsyncIterable<ResponseStreamEvent>) events.push(event);
    return events;
  };

  it('answers whole with text, usage and how it ended', async () => {
    const response = await openai.responses.create({
      model: MODEL,
      input: 'Hi.',
      instructions: 'Be brief.',
      metadata: { a: 'b' },
    });
    expect(response).toMatchObject({
      object: 'response',
      status: 'completed',
      error: null,
      model: MODEL,
      instructions: 'Be brief.',
      metadata: { a: 'b' },
    });
    expect(response.output_text).toContain('[simulated on only]');
    expect(response.usage?.total_tokens).toBeGreaterThan(0);
    const cut = await openai.responses.create({ model: MODEL, input: 'Hi.', max_output_tokens: 3 });
    expect(cut).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } });
  });

  it('streams numbered events in their order, which add up to the answer', async () => {
    const events = await eventsOf({ input: [{ role: 'user', content: [{ type: 'input_text', text: 'Hi.' }] }] });
    const types = events.map(({ type }) => type);
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, index) => index));
    expect([...new Set(types)]).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    const text = events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('');
    const last = events.at(-1);
    expect(last).toMatchObject({
      response: { status: 'completed', output: [{ type: 'message', content: [{ type: 'output_text', text }] }] },
    });
  });

  it('calls functions, also those in a namespace, and drops tools that nobody here can run', async () => {
    const events = await eventsOf({
      input: 'weather? #tool',
      tools: [{ type: 'web_search' }, { type: 'namespace', name: 'mcp__home', tools: [weather] }, { type: 'something_new' }],
      tool_choice: 'auto',
      store: false,
      include: ['reasoning.encrypted_content'],
      reasoning: { effort: 'medium', summary: 'auto' },
      prompt_cache_key: 'c1',
      client_metadata: { a: 'b' },
    });
    const done = events.find((event) => event.type === 'response.function_call_arguments.done');
    const item = events.findLast((event) => event.type === 'response.output_item.done');
    expect(item).toMatchObject({ item: { type: 'function_call', name: 'weather', namespace: 'mcp__home', status: 'completed' } });
    expect(JSON.parse((done as { arguments: string }).arguments)).toHaveProperty('city');
  });

  it('offers free-text tools as functions and gives their text back', async () => {
    const response = await openai.responses.create({
      model: MODEL,
      input: 'patch #tool',
      tools: [{ type: 'custom', name: 'apply_patch' }],
    });
    expect(response.output).toMatchObject([
      { type: 'custom_tool_call', name: 'apply_patch', input: expect.stringContaining('simulated') },
    ]);
  });

  it('goes on after a tool ran: whole items, and references to what it said itself', async () => {
    const first = await openai.responses.create({ model: MODEL, input: 'weather? #tool', tools: [weather] });
    const call = first.output[0];
    if (call?.type !== 'function_call') throw new Error('no call');
    const result = { type: 'function_call_output' as const, call_id: call.call_id, output: 'rain' };
    const question = { role: 'user' as const, content: 'weather?' };
    const whole = await openai.responses.create({ model: MODEL, input: [question, call, result] });
    expect(whole.output_text).toContain('simulated');
    const referred = await openai.responses.create({
      model: MODEL,
      input: [question, { type: 'item_reference', id: call.id ?? '' }, result],
    });
    expect(referred.output_text).toBe(whole.output_text);
  });

  it('says that it keeps nothing when asked for what it does not have', async () => {
    await expect(
      openai.responses.create({ model: MODEL, input: [{ type: 'item_reference', id: 'msg_0' }] }),
    ).rejects.toMatchObject({ status: 400, param: 'input[0].id' });
    await expect(openai.responses.create({ model: MODEL, input: 'x', previous_response_id: 'resp_0' })).rejects.toMatchObject({
      status: 400,
      param: 'previous_response_id',
    });
  });

  it('ends a stream that broke as failed, in the stream', async () => {
    const events = await eventsOf({ input: 'x #fault=reset:3', max_output_tokens: 20 });
    expect(events.at(-1)).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'server_error' } },
    });
  });

  it('ends a stream that cannot be read as failed, and an answer with an error', async () => {
    const events = await eventsOf({ input: 'x #fault=garbage:3', max_output_tokens: 20 });
    expect(events.at(-1)).toMatchObject({ type: 'response.failed', response: { error: { lai_code: 'engine_error' } } });
    const whole = openai.responses.create({ model: MODEL, input: 'x #fault=garbage:3', max_output_tokens: 20 });
    await expect(whole).rejects.toMatchObject({ status: 502, code: 'engine_error' });
    const chat = openai.chat.completions.create({
      model: MODEL,
      messages: [{ role: 'user', content: 'x #fault=garbage:3' }],
      max_tokens: 20,
    });
    await expect(chat).rejects.toMatchObject({ status: 502, code: 'engine_error' });
  });

  it('holds the line while it waits', async () => {
    const response = await fetch(`${fleet.url}/v1/responses`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: MODEL, input: 'x #fault=stall:0:700', stream: true, max_output_tokens: 3 }),
    });
    const text = await response.text();
    expect(text).toMatch(/^: keep-alive/);
    expect(text).toContain('response.incomplete');
  });
});
