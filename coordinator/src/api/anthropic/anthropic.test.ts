import { MessagesRequest } from '@lai/shared/anthropic';
import { describe, expect, it } from 'vitest';
import type { ChatDelta } from '../openai/chat-deltas.ts';
import { estimatedTokens } from './count-tokens.ts';
import { anthropicError } from './error-envelope.ts';
import { chatFromMessages, ignoredInMessages } from './messages-input.ts';
import { MessageComposer } from './messages-output.ts';

const requestOf = (fields: Record<string, unknown>) =>
  MessagesRequest.parse({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hi.' }], ...fields });
const chatOf = (fields: Record<string, unknown>) => chatFromMessages(requestOf(fields));
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
        reasoning_content: 'x',
        reasoning: 'x',
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
      tools: [{ function: { name: 'f' } }],
      tool_choice: 'required',
      parallel_tool_calls: false,
    });
    expect(chatOf({ tools: [tools[1]], tool_choice: { type: 'auto' } })).not.toHaveProperty('tool_choice');
  });

  it('offers the tools that the client runs itself, and refuses those it cannot describe', () => {
    const tools = [
      { type: 'bash_20250124', name: 'bash' },
      { type: 'text_editor_20250728', name: 'str_replace_based_edit_tool' },
      { type: 'memory_20250818', name: 'memory' },
      { type: 'computer_20250124', name: 'computer', display_width_px: 1024, display_height_px: 768 },
      { type: 'web_search_20250305', name: 'web_search' },
    ];
    const chat = chatOf({ tools, tool_choice: { type: 'any' } });
    expect(chat.tools).toMatchObject([
      { function: { name: 'bash', parameters: { properties: { command: {}, restart: {} } } } },
      {
        function: {
          name: 'str_replace_based_edit_tool',
          parameters: { required: ['command', 'path'], properties: { insert_text: {} } },
        },
      },
      { function: { name: 'memory', parameters: { required: ['command'], properties: { old_path: {} } } } },
      { function: { name: 'computer', parameters: { required: ['action'] } } },
    ]);
    expect(JSON.stringify(chat.tools)).toContain('1024 x 768');
    expect(chat.tool_choice).toBe('required');
    expect(() => chatOf({ tools: [{ type: 'robot_20270101', name: 'arm' }] })).toThrow('"robot_20270101" is no kind of tool');
    expect(() => chatOf({ tools: [{ name: 'f' }] })).toThrow('tools[0]: input_schema is missing');
    expect(() => chatOf({ tools: [tools[4]], tool_choice: { type: 'tool', name: 'web_search' } })).toThrow('none of the tools');
    expect(() => chatOf({ tools, tool_choice: { type: 'tool', name: 'gone' } })).toThrow('there is no tool "gone"');
  });

  it('sends thinking back beside the calls it led to', () => {
    const [, assistant] = chatOf({
      messages: [
        { role: 'user', content: 'x' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'I need the weather.', signature: '' },
            { type: 'tool_use', id: 't1', name: 'get_weather', input: { city: 'Bern' } },
          ],
        },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't1', content: 'sunny' }] },
      ],
    }).messages;
    expect(assistant).toMatchObject({
      reasoning_content: 'I need the weather.',
      reasoning: 'I need the weather.',
      tool_calls: [{ id: 't1' }],
    });
  });

  it.each([
    [{ thinking: { type: 'disabled' } }, 'none'],
    [{ thinking: { type: 'disabled' }, output_config: { effort: 'high' } }, 'none'],
    [{ thinking: { type: 'adaptive' }, output_config: { effort: 'high' } }, 'high'],
    [{ output_config: { effort: 'max' } }, 'high'],
    [{ thinking: { type: 'enabled', budget_tokens: 1024 } }, 'medium'],
    [{ thinking: { type: 'adaptive' } }, undefined],
    [{}, undefined],
  ])('tells a model that can think how hard: %j', (fields, effort) => {
    const request = requestOf(fields);
    expect(chatFromMessages(request, { canThink: true })['reasoning_effort']).toBe(effort);
    expect(chatFromMessages(request, { canThink: false })).not.toHaveProperty('reasoning_effort');
  });

  it('refuses an effort that is none', () => {
    expect(() => chatOf({ output_config: { effort: 'extreme' } })).toThrow('output_config.effort: takes one of');
  });

  it.each(['output_config', 'output_format'])('asks for structured output by %s', (field) => {
    const format = { type: 'json_schema', schema: { type: 'object' } };
    const chat = chatOf(field === 'output_format' ? { output_format: format } : { output_config: { format } });
    expect(chat.response_format).toEqual({ type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object' } } });
    expect(() => chatOf({ output_format: { type: 'xml' } })).toThrow('output_format: takes');
  });

  it('names what is ignored', () => {
    const request = requestOf({
      tools: [{ type: 'web_search_20250305', name: 'web_search' }],
      thinking: { type: 'enabled', budget_tokens: 1024 },
      mcp_servers: [{ url: 'x' }],
      container: null,
      service_tier: 'auto',
      new_thing: 1,
    });
    const ignored = ['new_thing', 'thinking.budget_tokens', 'mcp_servers', 'tools.web_search'];
    expect(ignoredInMessages(request, { canThink: true }).sort()).toEqual(ignored.sort());
    expect(ignoredInMessages(request, { canThink: false })).toContain('thinking.type');
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
