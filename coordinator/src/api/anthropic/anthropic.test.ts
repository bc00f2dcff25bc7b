import { MessagesRequest } from '@lai/shared/anthropic';
import { describe, expect, it } from 'vitest';
import type { ChatDelta } from '../openai/chat-deltas.ts';
import { estimatedTokens } from './count-tokens.ts';
import { anthropicError } from './error-envelope.ts';
import { chatFromMessages } from './messages-input.ts';
import { MessageComposer } from './messages-output.ts';

const chatOf = (fields: Record<string, unknown>) =>
  chatFromMessages(MessagesRequest.parse({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hi.' }], ...fields }));
const messagesOf = (...messages: unknown[]) => chatOf({ messages }).messages;
const user = (content: unknown) => ({ role: 'user', content });

describe('a message request, as chat', () => {
  it('has one system message, without what is only for accounts', () => {
    const system = [
      { type: 'text', text: 'x-anthropic-billing-header: cc_version=2.1.3f;' },
      { type: 'text', text: 'Be brief.', cache_control: {} },
    ];
    expect(chatOf({ system }).messages[0]).toEqual({ role: 'system', content: 'Be brief.' });
    expect(chatOf({ system: 'Be brief.' }).messages[0]).toEqual({ role: 'system', content: 'Be brief.' });
  });

  it('joins system messages in the list to what the user says there', () => {
    expect(messagesOf(user([{ type: 'text', text: 'a' }]), { role: 'system', content: 'b' })).toEqual([
      user('a\n\n<system-message>\nb\n</system-message>'),
    ]);
  });

  it('puts results right behind their calls, then images they returned, then what else was said', () => {
    const source = { type: 'base64', media_type: 'image/png', data: 'AA' };
    expect(
      messagesOf(
        user('?'),
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'x', signature: 's' },
            { type: 'text', text: 'I look.' },
            { type: 'tool_use', id: 't', name: 'f', input: { a: 1 } },
          ],
        },
        user([
          { type: 'text', text: 'So?' },
          {
            type: 'tool_result',
            tool_use_id: 't',
            is_error: true,
            content: [
              { type: 'text', text: 'no' },
              { type: 'image', source },
            ],
          },
        ]),
      ),
    ).toEqual([
      user('?'),
      {
        role: 'assistant',
        content: 'I look.',
        tool_calls: [{ id: 't', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
      },
      { role: 'tool', tool_call_id: 't', content: 'Error: no' },
      user([
        { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } },
        { type: 'text', text: 'So?' },
      ]),
    ]);
  });

  it('offers tools that have a schema, and chooses as asked', () => {
    const tools = [
      { name: 'f', description: 'd', input_schema: { type: 'object' } },
      { type: 'web_search_20250305', name: 'web_search' },
    ];
    expect(chatOf({ tools }).tools).toEqual([
      { type: 'function', function: { name: 'f', description: 'd', parameters: { type: 'object' } } },
    ]);
    expect(chatOf({ tools, tool_choice: { type: 'any' } })).toMatchObject({ tool_choice: 'required' });
    expect(chatOf({ tools, tool_choice: { type: 'tool', name: 'f', disable_parallel_tool_use: true } })).toMatchObject({
      tool_choice: { type: 'function', function: { name: 'f' } },
      parallel_tool_calls: false,
    });
    expect(chatOf({ tools: [tools[1]], tool_choice: { type: 'auto' } })).not.toHaveProperty('tool_choice');
  });

  it('carries over limits and ignores what it does not know', () => {
    expect(
      chatOf({ stop_sequences: ['x'], top_k: 3, temperature: 0, metadata: { user_id: 'u' }, thinking: { type: 'adaptive' } }),
    ).toMatchObject({ max_tokens: 9, stop: ['x'], top_k: 3, temperature: 0, user: 'u' });
  });
});

describe('a message', () => {
  const compose = (...deltas: ChatDelta[]) => {
    const composer = new MessageComposer({ model: 'm', inputTokens: 5 });
    const events = [...composer.start(), ...deltas.flatMap((delta) => composer.take(delta))];
    const { events: last, message } = composer.complete();
    return { events: [...events, ...last], message };
  };
  const call = (index: number, args: string, id: string | null = null, name: string | null = null): ChatDelta => ({
    kind: 'tool',
    index,
    id,
    name,
    arguments: args,
  });

  it('has one block after another, each closed before the next', () => {
    const { events, message } = compose(
      { kind: 'reasoning', text: 'hm' },
      { kind: 'text', text: 'a' },
      call(0, '', 'x', 'f'),
      call(0, '{"a":1}'),
      call(1, '', 'y', 'g'),
      { kind: 'finish', reason: 'tool_calls' },
    );
    expect(events.map(({ type, index }) => `${type}${index ?? ''}`)).toEqual([
      'message_start',
      ...['content_block_start0', 'content_block_delta0', 'content_block_stop0'],
      ...['content_block_start1', 'content_block_delta1', 'content_block_stop1'],
      ...['content_block_start2', 'content_block_delta2', 'content_block_stop2'],
      ...['content_block_start3', 'content_block_stop3'],
      ...['message_delta', 'message_stop'],
    ]);
    expect(message).toMatchObject({
      stop_reason: 'tool_use',
      content: [
        { type: 'thinking', thinking: 'hm' },
        { type: 'text', text: 'a' },
        { id: 'x', name: 'f', input: { a: 1 } },
        { id: 'y', name: 'g', input: {} },
      ],
    });
  });

  it.each([
    ['stop', 'end_turn'],
    ['length', 'max_tokens'],
    ['content_filter', 'refusal'],
    ['something new', 'end_turn'],
  ])('that ended with %s says %s', (reason, stop_reason) => {
    expect(compose({ kind: 'text', text: 'a' }, { kind: 'finish', reason }).message).toMatchObject({ stop_reason });
  });

  it('counts cached input apart, and estimates until it is counted', () => {
    const usage = { inputTokens: 10, outputTokens: 3, cachedTokens: 4, reasoningTokens: 0 };
    const { events, message } = compose({ kind: 'text', text: 'a' }, { kind: 'usage', usage });
    expect(message['usage']).toMatchObject({ input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 3 });
    expect(events[0]).toMatchObject({ message: { usage: { input_tokens: 5, output_tokens: 0 } } });
  });

  it('does not break over half an argument object', () => {
    expect(compose(call(0, '{"a"', 'x', 'f')).message).toMatchObject({ content: [{ input: {} }] });
  });
});

describe('errors and estimates', () => {
  it.each([
    [
      'request (200 tokens) exceeds the available context size (128 tokens), try increasing it',
      'prompt is too long: 200 tokens > 128 maximum',
    ],
    [
      'm on a: context of 4096 tokens, about 9216 needed; m on b: context of 8192 tokens, about 9216 needed',
      'prompt is too long: 9216 tokens > 8192 maximum',
    ],
    ['no numbers at all', 'prompt is too long: 1 tokens > 0 maximum'],
  ])('of context say what Claude Code acts on: %s', (message, expected) => {
    expect(anthropicError({ code: 'context_length_exceeded', message }, 'req_1').body).toEqual({
      type: 'error',
      error: { type: 'invalid_request_error', message: expected },
      request_id: 'req_1',
    });
  });

  it.each([
    ['no_capacity', 503, 'overloaded_error'],
    ['node_lost', 502, 'overloaded_error'],
    ['invalid_api_key', 401, 'authentication_error'],
    ['permission_denied', 403, 'permission_error'],
    ['model_not_found', 404, 'not_found_error'],
    ['body_too_large', 413, 'request_too_large'],
    ['rate_limit_exceeded', 429, 'rate_limit_error'],
    ['deadline_exceeded', 504, 'timeout_error'],
    ['internal_error', 500, 'api_error'],
  ] as const)('%s is %i, %s', (code, status, type) => {
    expect(anthropicError({ code, message: 'm' }, 'r')).toMatchObject({ status, body: { error: { type, message: 'm' } } });
  });

  it('counts text by length, images as images, and nothing of what is only for the cache', () => {
    const of = (content: unknown) => estimatedTokens({ messages: [{ role: 'user', content: content as string }] });
    expect(of('x'.repeat(360))).toBe(104);
    expect(of([{ type: 'image', source: { data: 'x'.repeat(1_000_000) } }])).toBe(1_004);
    expect(of([{ type: 'text', text: 'a', cache_control: { type: 'ephemeral' } }])).toBe(of([{ type: 'text', text: 'a' }]));
  });
});
