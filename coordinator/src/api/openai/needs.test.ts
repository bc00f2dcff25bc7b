import type { Capability } from '@lai/shared/node';
import { ChatCompletionRequest } from '@lai/shared/openai';
import { describe, expect, it } from 'vitest';
import { chatTarget } from './needs.ts';

const user = (content: unknown) => ({ role: 'user', content });
const needsOf = (request: Record<string, unknown>) =>
  chatTarget(ChatCompletionRequest.parse({ messages: [user('hello')], ...request }));

describe('what a chat request needs', () => {
  it('is a model by its name, or any that can do it', () => {
    expect(needsOf({ model: 'llama3.2:3b' }).model).toBe('llama3.2:3b');
    expect(needsOf({}).model).toBe('auto');
  });

  it.each<[string, Record<string, unknown>, Capability[]]>([
    ['a plain question', {}, ['chat']],
    [
      'an image',
      {
        messages: [
          user([
            { type: 'text', text: 'what?' },
            { type: 'image_url', image_url: { url: 'x' } },
          ]),
        ],
      },
      ['chat', 'vision'],
    ],
    ['an image in an earlier message', { messages: [user([{ type: 'image_url' }]), user('and now?')] }, ['chat', 'vision']],
    ['sound', { messages: [user([{ type: 'input_audio', input_audio: { data: 'x' } }])] }, ['chat', 'audio']],
    ['text in parts', { messages: [user([{ type: 'text', text: 'hi' }])] }, ['chat']],
    ['tools', { tools: [{ type: 'function' }] }, ['chat', 'tools']],
    ['no tools', { tools: [] }, ['chat']],
    ['tools that are null', { tools: null }, ['chat']],
    ['a JSON object', { response_format: { type: 'json_object' } }, ['chat', 'json']],
    ['a JSON schema', { response_format: { type: 'json_schema', json_schema: {} } }, ['chat', 'json']],
    ['plain text by name', { response_format: { type: 'text' } }, ['chat']],
    ['a format that is null', { response_format: null }, ['chat']],
    [
      'everything at once',
      {
        messages: [user([{ type: 'input_audio' }, { type: 'image_url' }])],
        tools: [{}],
        response_format: { type: 'json_object' },
      },
      ['chat', 'vision', 'audio', 'tools', 'json'],
    ],
    ['a word we do not know', { messages: [user([{ type: 'hologram' }])], x_mood: 'fine' }, ['chat']],
  ])('for %s', (_, request, capabilities) => {
    expect(needsOf(request).capabilities).toEqual(capabilities);
  });

  it.each([
    ['nothing that matters', 0, 0],
    ['the largest prompt that does not matter', 2_048 * 6, 0],
    ['one character more', 2_048 * 6 + 1, 2_048],
    ['a prompt of three steps', 3_072 * 6, 3_072],
    ['not quite four steps', 4_096 * 6 - 1, 3_072],
    ['a book', 1_000_000, 162 * 1_024],
  ])('in context, for %s (%i characters), is %i tokens', (_, characters, contextTokens) => {
    expect(needsOf({ messages: [user('x'.repeat(characters))] }).contextTokens).toBe(contextTokens);
  });

  it('in context is counted over all messages and text parts, and over nothing else', () => {
    const half = 'x'.repeat(2_048 * 6);
    const messages = [
      { role: 'system', content: half },
      { role: 'assistant', content: null, tool_calls: [] },
      { role: 'tool' },
      user([
        { type: 'text', text: half },
        { type: 'image_url', image_url: { url: half.repeat(9) } },
        { type: 'text', text: 7 },
      ]),
    ];
    expect(needsOf({ messages }).contextTokens).toBe(4_096);
  });

  it('is the same for requests that are alike, so that they share a queue', () => {
    expect(needsOf({ messages: [user('a')] })).toEqual(needsOf({ messages: [user('something longer')] }));
    expect(needsOf({ messages: [user('x'.repeat(20_000))] })).toEqual(needsOf({ messages: [user('x'.repeat(20_500))] }));
  });
});
