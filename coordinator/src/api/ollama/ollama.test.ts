import type { LoadedModel } from '@lai/shared/node';
import { OllamaChatRequest, OllamaGenerateRequest, OllamaTags } from '@lai/shared/ollama';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../dispatch/clock.ts';
import type { NodeRecord } from '../../nodes/registry.ts';
import { isOllamaPath } from './error-envelope.ts';
import { chatFromGenerate, chatFromOllama, completionFromGenerate } from './input.ts';
import { running, show, tags } from './models.ts';
import { OllamaComposer } from './output.ts';

const chatOf = (fields: Record<string, unknown>, canThink = false) =>
  chatFromOllama(OllamaChatRequest.parse({ model: 'm', ...fields }), canThink);
const user = (content: unknown) => ({ role: 'user', content });

describe("Ollama's requests, as chat", () => {
  it('carry over the options that do not make a runtime load anew', () => {
    expect(
      chatOf({ messages: [user('x')], options: { temperature: 0, num_predict: 5, num_ctx: 99, stop: ['a'], seed: 1 } }),
    ).toEqual({ model: 'm', messages: [user('x')], temperature: 0, stop: ['a'], seed: 1, max_tokens: 5 });
    expect(chatOf({ messages: [], options: { num_predict: -1 } })).not.toHaveProperty('max_tokens');
  });

  it('wish for JSON, with a schema or without', () => {
    expect(chatOf({ format: 'json' })).toMatchObject({ response_format: { type: 'json_object' } });
    expect(chatOf({ format: { type: 'object' } })).toMatchObject({
      response_format: { type: 'json_schema', json_schema: { schema: { type: 'object' } } },
    });
    expect(chatOf({ format: '' })).not.toHaveProperty('response_format');
    expect(() => chatOf({ format: 'xml' })).toThrow('format: takes');
  });

  it.each([
    [true, 'medium'],
    [false, 'none'],
    ['high', 'high'],
  ])('wish for thinking (%s) where a model can', (think, effort) => {
    expect(chatOf({ think }, true)).toMatchObject({ reasoning_effort: effort });
    expect(chatOf({ think }, false)).not.toHaveProperty('reasoning_effort');
  });

  it('show images, told apart by their first bytes', () => {
    expect(
      chatOf({ messages: [{ role: 'user', content: 'x', images: ['/9j/4AAQ', 'iVBORw0KGgo='] }] }).messages[0]?.content,
    ).toMatchObject([
      { type: 'text', text: 'x' },
      { image_url: { url: 'data:image/jpeg;base64,/9j/4AAQ' } },
      { image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
    ]);
  });

  const calls = (...names: string[]) => ({
    role: 'assistant',
    content: '',
    tool_calls: names.map((name) => ({ function: { name, arguments: {} } })),
  });
  const result = (tool_name: string | null, content: string) => ({ role: 'tool', ...(tool_name ? { tool_name } : {}), content });
  /** By content, the name and the place of the call that each result went to. */
  const answered = (...messages: unknown[]) => {
    const chat = chatOf({ messages: [user('x'), ...messages] }).messages;
    const all = chat.flatMap((message) => (message['tool_calls'] ?? []) as { id: string; function: { name: string } }[]);
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    const results = chat.filter(({ role }) => role === 'tool');
    return Object.fromEntries(
      results.map(({ content, tool_call_id }) => {
        const place = all.findIndex(({ id }) => id === tool_call_id);
        return [content, place === -1 ? null : `${all[place]?.function.name} ${place}`];
      }),
    );
  };

  it('match results to calls by name, in whatever order they come', () => {
    expect(answered(calls('read', 'grep'), result('grep', 'G'), result('read', 'R'))).toEqual({ G: 'grep 1', R: 'read 0' });
    expect(answered(calls('read', 'read'), result('read', 'A'), result('read', 'B'))).toEqual({ A: 'read 0', B: 'read 1' });
  });

  it('leave a call unanswered that was', () => {
    const first = [calls('read', 'grep'), result('read', 'R'), user('again')];
    expect(answered(...first, calls('now'), result('now', '12:00'))).toEqual({ R: 'read 0', '12:00': 'now 2' });
    expect(answered(...first, calls('now'), result(null, '12:00'))).toEqual({ R: 'read 0', '12:00': 'now 2' });
    expect(answered(...first, calls('grep'), result('grep', 'G'))).toEqual({ R: 'read 0', G: 'grep 2' });
    expect(answered(...first, calls('now'), result('grep', 'G'))).toEqual({ R: 'read 0', G: 'grep 1' });
  });

  it('give a result of a call that nobody made to none', () => {
    expect(answered(calls('read'), result('gone', 'X'), result('read', 'R'))).toEqual({ X: null, R: 'read 0' });
  });

  it('keep the ids that were given, and give no other call one of them', () => {
    const given = {
      role: 'assistant',
      content: '',
      tool_calls: [{ function: { name: 'f' } }, { id: 'call_1', function: { name: 'f' } }],
    };
    const mine = { role: 'tool', tool_call_id: 'call_1', content: 'mine' };
    expect(answered(given, mine, result('f', 'other'))).toEqual({ mine: 'f 1', other: 'f 0' });
  });

  it('send thinking back beside the calls it led to', () => {
    const { messages } = chatOf({ messages: [user('x'), { ...calls('f'), thinking: 'I need f.' }, result('f', '1')] });
    expect(messages[1]).toMatchObject({ reasoning_content: 'I need f.', reasoning: 'I need f.', tool_calls: [{}] });
  });

  it('match results to calls by their order where they have no names', () => {
    const call = (name: string) => ({ function: { name, arguments: { a: 1 } } });
    const { messages } = chatOf({
      messages: [
        user('?'),
        { role: 'assistant', content: '', tool_calls: [call('f'), call('g')] },
        { role: 'tool', content: '1' },
        { role: 'tool', content: '2' },
      ],
    });
    expect(messages[1]).toMatchObject({
      content: null,
      tool_calls: [{ id: 'call_1', function: { arguments: '{"a":1}' } }, { id: 'call_2' }],
    });
    expect(messages.slice(2)).toMatchObject([{ tool_call_id: 'call_1' }, { tool_call_id: 'call_2' }]);
  });

  it('of generate have a system message, or are plain completions', () => {
    const request = OllamaGenerateRequest.parse({ model: 'm', prompt: 'p', system: 's', suffix: 'z', options: { top_k: 2 } });
    expect(chatFromGenerate(request, false).messages).toEqual([{ role: 'system', content: 's' }, user('p')]);
    expect(completionFromGenerate(request)).toEqual({ model: 'm', prompt: 'p', suffix: 'z', top_k: 2 });
  });
});

describe("Ollama's answers", () => {
  const end = { kind: 'end', finishReason: 'stop', usage: null, timings: { firstContentMs: 20, totalMs: 120 } } as const;

  it('are lines, with calls whole at the end', () => {
    const composer = new OllamaComposer({ kind: 'chat', model: 'm', receivedAtMs: systemClock.nowMs() });
    const lines = [
      ...composer.take({ kind: 'reasoning', text: 'hm' }),
      ...composer.take({ kind: 'text', text: 'a' }),
      ...composer.take({ kind: 'tool', index: 0, id: 'x', name: 'f', arguments: '{"a"' }),
      ...composer.take({ kind: 'tool', index: 0, id: null, name: null, arguments: ':1}' }),
      ...composer.take({ kind: 'finish', reason: 'tool_calls' }),
      ...composer.complete(end),
    ];
    expect(lines).toMatchObject([
      { message: { content: '', thinking: 'hm' }, done: false },
      { message: { content: 'a' }, done: false },
      { message: { content: '', tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] }, done: false },
      { message: { content: '' }, done: true, done_reason: 'stop', prompt_eval_duration: 20_000_000, eval_duration: 100_000_000 },
    ]);
  });

  it('are one line for whoever does not stream', () => {
    const composer = new OllamaComposer({ kind: 'generate', model: 'm', receivedAtMs: systemClock.nowMs() });
    for (const text of ['a', 'b']) composer.take({ kind: 'text', text });
    composer.take({ kind: 'finish', reason: 'length' });
    composer.take({ kind: 'usage', usage: { inputTokens: 3, outputTokens: 2, cachedTokens: 0, reasoningTokens: 0 } });
    expect(composer.whole(end)).toMatchObject({
      response: 'ab',
      done: true,
      done_reason: 'length',
      prompt_eval_count: 3,
      eval_count: 2,
    });
  });
});

describe("Ollama's lists", () => {
  const model = (id: string, facts: Partial<LoadedModel> = {}) =>
    ({
      id,
      state: 'cold',
      capabilities: ['chat', 'json'],
      contextLength: 4_096,
      sizeBytes: 10,
      vramBytes: null,
      expiresAtMs: null,
      ...facts,
    }) as LoadedModel;
  const node = (models: LoadedModel[], liveness = 'alive') =>
    ({ liveness, snapshot: { takenAtMs: 0, models } }) as unknown as NodeRecord;

  it('have every model once, named as Ollama names them', () => {
    const { models } = OllamaTags.parse(
      tags([
        node([model('llama3.2:3b-q4_K_M'), model('nomic')]),
        node([model('nomic:latest', { capabilities: ['embedding'] })]),
        node([model('gone')], 'dead'),
      ]),
    );
    expect(models.map(({ name }) => name)).toEqual(['llama3.2:3b-q4_K_M', 'nomic:latest']);
    expect(models[0]?.details).toMatchObject({ family: 'llama', parameter_size: '3B', quantization_level: 'Q4_K_M' });
    expect(models[1]?.capabilities).toEqual(['completion', 'embedding']);
    expect(models[0]?.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it('say what is in memory, and until when', () => {
    const { models } = running(
      [node([model('a', { state: 'warm', expiresAtMs: 5, vramBytes: 7 }), model('b')]), node([model('c', { state: 'warm' })])],
      0,
    );
    expect(models).toMatchObject([
      { name: 'a:latest', expires_at: new Date(5).toISOString(), size_vram: 7 },
      { name: 'c:latest' },
    ]);
    expect(Date.parse(models[1]?.expires_at ?? '')).toBeGreaterThan(10 ** 12);
  });

  it('show one of them', () => {
    expect(show([node([model('a')])], 'a:latest')).toMatchObject({
      model_info: { 'general.architecture': 'a', 'a.context_length': 4_096 },
      capabilities: ['completion'],
    });
    expect(show([node([model('a')])], 'b')).toBeUndefined();
  });
});

it.each([
  ['/api/chat', true],
  ['/api/blobs/sha256:0', true],
  ['/api/v1/status', false],
  ['/api/version', true],
  ['/api/versions', false],
  ['/v1/models', false],
])('%s is a route of Ollama: %s', (path, expected) => {
  expect(isOllamaPath(path)).toBe(expected);
});
