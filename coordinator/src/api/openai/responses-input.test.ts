import { ResponseRequest } from '@lai/shared/responses';
import { describe, expect, it } from 'vitest';
import { chatFromResponse, ignoredInResponse } from './responses-input.ts';
import { chosenOffer, offerTools } from './responses-tools.ts';

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
    ['auto', { tools: [expect.anything()], tool_choice: 'auto' }],
    ['required', { tools: [expect.anything()], tool_choice: 'required' }],
    ['none', { tools: undefined, tool_choice: undefined }],
    [null, { tools: [expect.anything()], tool_choice: null }],
    [
      { type: 'function', name: 'weather' },
      { tools: [{ function: { name: 'weather' } }], tool_choice: 'required' },
    ],
    [
      { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'weather' }, { type: 'web_search' }] },
      { tools: [{ function: { name: 'weather' } }], tool_choice: 'required' },
    ],
    [
      { type: 'allowed_tools', mode: 'auto', tools: [] },
      { tools: undefined, tool_choice: undefined },
    ],
  ])('are chosen as asked: %j', (choice, expected) => {
    expect(chosenOffer(choice, offerTools([weather]))).toMatchObject(expected);
  });

  it.each([
    [{ type: 'function', name: 'gone' }, 'there is no tool "gone"'],
    [{ type: 'web_search' }, '"web_search" cannot be run here'],
    [{ type: 'allowed_tools', mode: 'required', tools: [] }, 'allows none'],
  ])('are not chosen when they are not offered: %j', (choice, sentence) => {
    expect(() => chosenOffer(choice, offerTools([weather]))).toThrow(sentence);
  });

  it('cannot be demanded when there are none', () => {
    expect(() => chosenOffer('required', offerTools([{ type: 'web_search' }]))).toThrow('none of the tools');
    expect(() => chosenOffer({ type: 'function', name: 'f' }, offerTools([]))).toThrow('none of the tools');
    expect(chosenOffer('auto', offerTools([]))).toEqual({});
  });

  it('are named when nobody here can run them', () => {
    const request = ResponseRequest.parse({
      input: 'x',
      tools: [weather, { type: 'web_search' }],
      reasoning: { effort: 'high' },
      include: ['x'],
    });
    const items = [{ type: 'shell_call' }, { type: 'function_call' }, { role: 'user' }];
    expect(ignoredInResponse(request, items, { canThink: false })).toEqual([
      'include',
      'tools.web_search',
      'input.shell_call',
      'reasoning.effort',
    ]);
    expect(ignoredInResponse(request, [], { canThink: true })).toEqual(['include', 'tools.web_search']);
  });
});

describe('what a conversation is remembered by', () => {
  it.each([
    ['conversation', { conversation: 'conv_123' }],
    ['conversation', { conversation: { id: 'conv_123' } }],
    ['prompt', { prompt: { id: 'pmpt_1' } }],
    ['background', { background: true }],
    ['previous_response_id', { previous_response_id: 'resp_1' }],
  ])('is refused in words: %s', (param, fields) => {
    const request = ResponseRequest.parse({ input: 'and what did I say before?', ...fields });
    expect(() => ignoredInResponse(request, [], { canThink: true })).toThrow(expect.objectContaining({ param }));
  });

  it('is no reason to refuse when it is empty', () => {
    const request = ResponseRequest.parse({
      input: 'x',
      conversation: null,
      background: false,
      prompt: null,
      truncation: 'disabled',
    });
    expect(ignoredInResponse(request, [], { canThink: true })).toEqual([]);
  });
});

describe('reasoning', () => {
  const turn = (...reasoning: Record<string, unknown>[]) =>
    chatOf({
      input: [
        { role: 'user', content: 'x' },
        ...reasoning,
        { type: 'function_call', call_id: 'c1', name: 'weather', arguments: '{"city":"Bern"}' },
        { type: 'function_call', call_id: 'c2', name: 'weather', arguments: '{"city":"Oslo"}' },
        { type: 'function_call_output', call_id: 'c2', output: 'rain' },
        { type: 'function_call_output', call_id: 'c1', output: 'sunny' },
      ],
    }).messages;

  it('goes back beside the calls it led to', () => {
    const own = {
      type: 'reasoning',
      id: 'rs_1',
      summary: [],
      content: [{ type: 'reasoning_text', text: 'I need the weather.' }],
    };
    const said = { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look.' }] };
    const thought = { reasoning_content: 'I need the weather.', reasoning: 'I need the weather.' };
    expect(turn(own)[1]).toMatchObject({ role: 'assistant', ...thought, tool_calls: [{ id: 'c1' }, { id: 'c2' }] });
    expect(turn(own, said)[1]).toMatchObject({ content: 'I look.', ...thought, tool_calls: [{ id: 'c1' }, { id: 'c2' }] });
    expect(turn({ type: 'reasoning', summary: [{ type: 'summary_text', text: 'Weather.' }] })[1]).toMatchObject({
      reasoning_content: 'Weather.',
    });
  });

  it('stays with its own turn', () => {
    expect(
      turn({ type: 'reasoning', content: [{ type: 'reasoning_text', text: 'old' }] }, { role: 'user', content: 'y' })[2],
    ).not.toHaveProperty('reasoning_content');
  });
});

describe('items that nobody here knows', () => {
  it('are left out, whatever their output is', () => {
    const request = {
      input: [
        { role: 'user', content: 'hi' },
        { type: 'shell_call', call_id: 'c1', action: { commands: ['ls'] }, status: 'completed' },
        {
          type: 'shell_call_output',
          call_id: 'c1',
          output: [{ stdout: 'a.txt', stderr: '', outcome: { type: 'exit', exit_code: 0 } }],
        },
        {
          type: 'computer_call_output',
          call_id: 'c2',
          output: { type: 'computer_screenshot', image_url: 'data:image/png;base64,AA' },
        },
        { role: 'user', content: 'go on' },
      ],
    };
    expect(chatOf(request).messages).toEqual([
      { role: 'user', content: 'hi' },
      { role: 'user', content: 'go on' },
    ]);
  });
});
