import { ResponseRequest } from '@lai/shared/responses';
import { describe, expect, it } from 'vitest';
import type { ChatDelta } from './chat-deltas.ts';
import { ResponseComposer } from './responses-output.ts';
import { offerTools } from './responses-tools.ts';

const compose = (deltas: ChatDelta[], tools: unknown[] = []) => {
  const request = ResponseRequest.parse({ model: 'm', input: 'x', tools });
  const composer = new ResponseComposer({
    request,
    model: 'm',
    offered: offerTools(request.tools ?? []).offered,
    createdAtSeconds: 7,
  });
  const events = [...composer.start(), ...deltas.flatMap((delta) => composer.take(delta))];
  return { composer, events };
};
const whole = (deltas: ChatDelta[], tools: unknown[] = []) => {
  const { composer, events } = compose(deltas, tools);
  const { events: last, response } = composer.complete();
  return { events: [...events, ...last], response };
};
const text = (words: string): ChatDelta => ({ kind: 'text', text: words });
const call = (index: number, args: string, id: string | null = null, name: string | null = null): ChatDelta => ({
  kind: 'tool',
  index,
  id,
  name,
  arguments: args,
});

describe('a response', () => {
  it('is numbered from the first event to the last, and starts once', () => {
    const { composer, events } = compose([text('a')]);
    expect(composer.start()).toEqual([]);
    const all = [...events, ...composer.complete().events];
    expect(all.map((event) => event['sequence_number'])).toEqual(all.map((_, index) => index));
  });

  it('opens and closes one item after another: thinking, words, calls', () => {
    const { events, response } = whole([
      { kind: 'reasoning', text: 'hm' },
      text('a'),
      text('b'),
      call(0, '', 'c0', 'f'),
      call(0, '{}'),
      call(1, '{"x":1}', 'c1', 'f'),
      { kind: 'finish', reason: 'tool_calls' },
    ]);
    expect(response).toMatchObject({
      status: 'completed',
      output: [
        { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'hm' }], status: 'completed' },
        { type: 'message', content: [{ type: 'output_text', text: 'ab' }] },
        { type: 'function_call', call_id: 'c0', name: 'f', arguments: '{}' },
        { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{"x":1}' },
      ],
    });
    const places = events.filter(({ type }) => type === 'response.output_item.added').map((event) => event['output_index']);
    expect(places).toEqual([0, 1, 2, 3]);
    const done = events.filter(({ type }) => type === 'response.output_item.done').map((event) => event['item']);
    expect(done).toEqual(response['output']);
  });

  it('gives calls back as the client knows them', () => {
    const tools = [
      { type: 'namespace', name: 'mcp', tools: [{ type: 'function', name: 'f' }] },
      { type: 'custom', name: 'patch' },
    ];
    const { events, response } = whole(
      [call(0, '{}', 'a', 'mcp__f'), call(1, '{"inp', 'b', 'patch'), call(1, 'ut":"*** x"}')],
      tools,
    );
    expect(response['output']).toMatchObject([
      { type: 'function_call', name: 'f', namespace: 'mcp', call_id: 'a' },
      { type: 'custom_tool_call', name: 'patch', input: '*** x', call_id: 'b' },
    ]);
    expect(events.filter(({ type }) => type === 'response.custom_tool_call_input.done')).toHaveLength(1);
  });

  it('gives free text back as it came when it is no object', () => {
    expect(whole([call(0, '*** x', 'b', 'patch')], [{ type: 'custom', name: 'patch' }]).response['output']).toMatchObject([
      { input: '*** x' },
    ]);
  });

  it.each([
    ['length', 'incomplete', { reason: 'max_output_tokens' }],
    ['content_filter', 'incomplete', { reason: 'content_filter' }],
    ['stop', 'completed', null],
  ])('that ended with %s is %s', (reason, status, details) => {
    const { events, response } = whole([text('a'), { kind: 'finish', reason }]);
    expect(response).toMatchObject({ status, incomplete_details: details });
    expect(events.at(-1)).toMatchObject({ type: `response.${status}` });
  });

  it('tells usage when the runtime did, and none before', () => {
    const usage = { inputTokens: 7, outputTokens: 3, cachedTokens: 2, reasoningTokens: 1 };
    const { events, response } = whole([text('a'), { kind: 'usage', usage }]);
    expect(response['usage']).toEqual({
      input_tokens: 7,
      input_tokens_details: { cached_tokens: 2 },
      output_tokens: 3,
      output_tokens_details: { reasoning_tokens: 1 },
      total_tokens: 10,
    });
    expect(events[0]?.['response']).not.toHaveProperty('usage');
  });

  it('that failed says so, with what there was of it, under a code that clients know', () => {
    const { composer } = compose([text('half')]);
    expect(composer.fail({ code: 'node_lost', message: 'gone' }).at(-1)).toMatchObject({
      type: 'response.failed',
      response: {
        status: 'failed',
        error: { code: 'server_error', message: 'gone', lai_code: 'node_lost' },
        output: [{ status: 'incomplete' }],
      },
    });
    expect(compose([]).composer.fail({ code: 'context_length_exceeded', message: 'm' }).at(-1)).toMatchObject({
      response: { error: { code: 'context_length_exceeded' } },
    });
  });
});
