import { ResponseRequest } from '@lai/shared/responses';
import { describe, expect, it } from 'vitest';
import { chatFromResponse } from './responses-input.ts';
import { offerTools, toolChoiceOf } from './responses-tools.ts';

const weather = { type: 'function', name: 'weather', description: 'd', parameters: { type: 'object' }, strict: true };

const chatOf = (fields: Record<string, unknown>, { canThink = false } = {}) => {
  const request = ResponseRequest.parse({ model: 'm', input: 'Hi.', ...fields });
  const items = typeof request.input === 'string' ? [{ role: 'user', content: request.input }] : request.input;
  return chatFromResponse(request, items, { offer: offerTools(request.tools ?? []), canThink });
};
const messagesOf = (...items: unknown[]) => chatOf({ input: items }).messages;
const user = (content: unknown) => ({ role: 'user', content });

describe('a response request, as chat', () => {
  it('has the instructions as its system message, before everything else', () => {
    expect(
      chatOf({ instructions: 'Be brief.', input: [{ role: 'developer', content: 'And kind.' }, user('Hi.')] }).messages,
    ).toEqual([{ role: 'system', content: 'Be brief.\n\nAnd kind.' }, user('Hi.')]);
  });

  it('leaves what is said to the model later where it was said, with what the user says', () => {
    const later = [
      user('a'),
      { role: 'developer', content: 'mind' },
      user('b'),
      { role: 'assistant', content: 'c' },
      { role: 'system', content: 'more' },
    ];
    expect(messagesOf(...later)).toEqual([
      user('a\n\n<system-message>\nmind\n</system-message>\n\nb'),
      { role: 'assistant', content: 'c' },
      user('<system-message>\nmore\n</system-message>'),
    ]);
  });

  it('does not join what the user said in two messages', () => {
    expect(messagesOf(user('a'), user('b'))).toEqual([user('a'), user('b')]);
  });

  it('takes text in parts for text, and keeps images and sound as parts', () => {
    expect(
      messagesOf(
        user([
          { type: 'input_text', text: 'a' },
          { type: 'input_text', text: 'b' },
        ]),
      ),
    ).toEqual([user('ab')]);
    expect(
      messagesOf(
        user([
          { type: 'input_text', text: 'a' },
          { type: 'input_image', image_url: 'data:x', detail: 'low' },
          { type: 'hologram' },
        ]),
      ),
    ).toEqual([
      user([
        { type: 'text', text: 'a' },
        { type: 'image_url', image_url: { url: 'data:x', detail: 'low' } },
      ]),
    ]);
  });

  it('reads text files out and names the others', () => {
    const file = (type: string) => ({
      type: 'input_file',
      filename: 'n',
      file_data: `data:${type};base64,${Buffer.from('héllo').toString('base64')}`,
    });
    expect(messagesOf(user([file('text/plain')]))).toEqual([user('n:\nhéllo')]);
    expect(messagesOf(user([file('application/pdf')]))).toEqual([user('[n: this file cannot be read here]')]);
  });

  it('puts calls of one turn into one message, and their results right behind it', () => {
    const call = (id: string, more = {}) => ({
      type: 'function_call',
      call_id: id,
      name: 'weather',
      arguments: '{"a":1}',
      ...more,
    });
    const chatCall = (id: string, name = 'weather') => ({ id, type: 'function', function: { name, arguments: '{"a":1}' } });
    expect(
      messagesOf(
        user('?'),
        { type: 'reasoning', summary: [] },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look.' }] },
        call('1'),
        call('2', { namespace: 'mcp' }),
        call('3', { namespace: 'functions' }),
        { type: 'function_call_output', call_id: '1', output: 'rain' },
        {
          type: 'function_call_output',
          call_id: '2',
          output: [
            { type: 'input_text', text: 'sun' },
            { type: 'input_image', image_url: 'data:x' },
          ],
        },
      ),
    ).toEqual([
      user('?'),
      { role: 'assistant', content: 'I look.', tool_calls: [chatCall('1'), chatCall('2', 'mcp__weather'), chatCall('3')] },
      { role: 'tool', tool_call_id: '1', content: 'rain' },
      { role: 'tool', tool_call_id: '2', content: 'sun' },
      user([{ type: 'image_url', image_url: { url: 'data:x' } }]),
    ]);
  });

  it('says free-text calls as functions with one text', () => {
    expect(messagesOf(user('?'), { type: 'custom_tool_call', call_id: '1', name: 'patch', input: '*** "x"' })[1]).toMatchObject({
      content: null,
      tool_calls: [{ function: { name: 'patch', arguments: '{"input":"*** \\"x\\""}' } }],
    });
  });

  it('carries over limits and wishes under the names that runtimes know', () => {
    expect(
      chatOf({
        max_output_tokens: 5,
        temperature: 0,
        top_p: 0.5,
        user: 'u',
        prompt_cache_key: 'c',
        text: { format: { type: 'json_schema', name: 'n', schema: {} } },
      }),
    ).toMatchObject({
      model: 'm',
      max_tokens: 5,
      temperature: 0,
      top_p: 0.5,
      user: 'u',
      prompt_cache_key: 'c',
      response_format: { type: 'json_schema', json_schema: { name: 'n', schema: {} } },
    });
    expect(chatOf({ text: { format: { type: 'text' } } })).not.toHaveProperty('response_format');
  });

  it('asks for thinking only of models that can', () => {
    expect(chatOf({ reasoning: { effort: 'high' } })).not.toHaveProperty('reasoning_effort');
    expect(chatOf({ reasoning: { effort: 'high' } }, { canThink: true })).toMatchObject({ reasoning_effort: 'high' });
  });

  it('with nothing to answer is refused', () => {
    expect(() => chatOf({ input: [{ type: 'reasoning' }] })).toThrow(/nothing/);
  });
});

describe('tools that are offered', () => {
  it('are functions as they are, namespaces one by one, and nothing that only the provider can run', () => {
    const { tools, offered } = offerTools([
      weather,
      { type: 'web_search' },
      { type: 'namespace', name: 'mcp', tools: [{ type: 'function', name: 'weather' }, { name: 'time' }] },
      { type: 'namespace', name: 'functions', tools: [{ type: 'custom', name: 'exec' }] },
      { type: 'something_new', name: 'x' },
    ]);
    expect(tools.map((tool) => (tool['function'] as { name: string }).name)).toEqual([
      'weather',
      'mcp__weather',
      'mcp__time',
      'exec',
    ]);
    expect(tools[0]).toEqual({
      type: 'function',
      function: { name: 'weather', description: 'd', parameters: { type: 'object' }, strict: true },
    });
    expect(offered.get('mcp__time')).toEqual({ chatName: 'mcp__time', name: 'time', namespace: 'mcp', kind: 'function' });
    expect(offered.get('exec')).toMatchObject({ name: 'exec', namespace: null, kind: 'custom' });
  });

  it.each([
    ['auto', 'auto'],
    ['required', 'required'],
    [null, undefined],
    [
      { type: 'function', name: 'weather' },
      { type: 'function', function: { name: 'weather' } },
    ],
    [{ type: 'function', name: 'gone' }, undefined],
    [{ type: 'web_search' }, undefined],
    [{ type: 'allowed_tools', mode: 'required', tools: [] }, 'required'],
  ])('are chosen as asked: %j', (choice, expected) => {
    expect(toolChoiceOf(choice, offerTools([weather]))).toEqual(expected);
    expect(toolChoiceOf(choice, offerTools([]))).toBeUndefined();
  });
});
