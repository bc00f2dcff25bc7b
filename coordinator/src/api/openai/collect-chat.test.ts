import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chatCollector } from './collect-chat.ts';

const head = {
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 7,
  model: 'llama3.2:3b',
  system_fingerprint: 'fp_ollama',
};
const event = (chunk: Record<string, unknown>): string => `data: ${JSON.stringify({ ...head, ...chunk })}\n\n`;
const delta = (fields: Record<string, unknown>, more: Record<string, unknown> = {}): string =>
  event({ choices: [{ index: 0, delta: fields, finish_reason: null, ...more }] });

const collect = (...events: string[]) => {
  const collector = chatCollector();
  for (const text of events) collector.push(Buffer.from(text));
  return collector.finish();
};
const messageOf = (...events: string[]): Record<string, unknown> => {
  const { choices } = collect(...events) as { choices: { message: Record<string, unknown> }[] };
  return choices[0]?.message ?? {};
};

describe('a collected answer', () => {
  it('is what an engine would have answered without a stream', () => {
    expect(
      collect(
        delta({ role: 'assistant', content: '' }),
        delta({ content: 'Hello' }),
        delta({ content: ' there ü€😀' }),
        delta({}, { finish_reason: 'stop' }),
        event({ choices: [], usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 } }),
      ),
    ).toEqual({
      ...head,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hello there ü€😀', refusal: null },
          finish_reason: 'stop',
          logprobs: null,
        },
      ],
      usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
    });
  });

  it('keeps the reason why it ended, whatever comes after', () => {
    const { choices } = collect(
      delta({ content: 'a' }, { finish_reason: 'length' }),
      delta({}),
      event({ choices: [{ index: 0 }] }),
    ) as {
      choices: unknown[];
    };
    expect(choices).toMatchObject([{ finish_reason: 'length' }]);
  });

  it('has no usage when the engine told none', () => {
    const answer = collect(delta({ content: 'a' }), delta({}, { finish_reason: 'stop' }), event({ choices: [], usage: null }));
    expect(answer).not.toHaveProperty('usage');
  });

  it('is called after the first chunk, and keeps what only later ones say', () => {
    const answer = collect(delta({ content: 'a' }), event({ id: 'other', model: '', choices: [], timings: { cache_n: 4 } }));
    expect(answer).toMatchObject({ id: 'chatcmpl-1', model: 'llama3.2:3b', timings: { cache_n: 4 } });
  });

  it('has null content when there was none', () => {
    expect(messageOf(delta({ role: 'assistant', content: null }), delta({}, { finish_reason: 'stop' }))['content']).toBeNull();
  });

  it('keeps the role of an assistant although engines repeat it', () => {
    expect(messageOf(delta({ role: 'assistant', content: 'a' }), delta({ role: 'assistant', content: 'b' }))).toMatchObject({
      role: 'assistant',
      content: 'ab',
    });
  });

  it('puts reasoning, refusal and fields nobody has heard of together like content', () => {
    const message = messageOf(
      delta({ reasoning_content: 'Let me' }),
      delta({ reasoning_content: ' think.', content: null }),
      delta({ refusal: 'No' }),
      delta({ refusal: '.', mood: 'gr' }),
      delta({ mood: 'im', level: 3 }),
    );
    expect(message).toMatchObject({ reasoning_content: 'Let me think.', refusal: 'No.', mood: 'grim', level: 3, content: null });
  });

  it('keeps several choices apart and in order, however they interleave', () => {
    const choice = (index: number, fields: Record<string, unknown>, finish: string | null = null) =>
      event({ choices: [{ index, delta: fields, finish_reason: finish }] });
    const { choices } = collect(
      choice(1, { content: 'b' }),
      choice(0, { content: 'a' }),
      event({
        choices: [
          { index: 0, delta: { content: 'A' } },
          { index: 1, delta: { content: 'B' } },
        ],
      }),
      choice(1, {}, 'length'),
      choice(0, {}, 'stop'),
    ) as { choices: unknown[] };
    expect(choices).toMatchObject([
      { index: 0, message: { content: 'aA' }, finish_reason: 'stop' },
      { index: 1, message: { content: 'bB' }, finish_reason: 'length' },
    ]);
  });

  it('joins log probabilities', () => {
    const token = (text: string) => ({ token: text, logprob: -0.5 });
    const { choices } = collect(
      delta({ content: 'a' }, { logprobs: { content: [token('a')], refusal: null } }),
      delta({ content: 'b' }, { logprobs: null }),
      delta({ content: 'c' }, { logprobs: { content: [token('c'), token('d')] } }),
      delta({ refusal: 'x' }, { logprobs: { content: null, refusal: [token('x')] } }),
    ) as { choices: { logprobs: unknown }[] };
    expect(choices[0]?.logprobs).toEqual({ content: [token('a'), token('c'), token('d')], refusal: [token('x')] });
  });
});

describe('collected tool calls', () => {
  const call = (...calls: Record<string, unknown>[]) => delta({ tool_calls: calls });

  it('are put together from many deltas', () => {
    const message = messageOf(
      delta({ role: 'assistant', content: null }),
      call({ index: 0, id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } }),
      call({ index: 0, function: { arguments: '{"ci' } }),
      call({ index: 1, id: 'call_2', type: 'function', function: { name: 'time', arguments: '{}' } }),
      call({ index: 0, function: { arguments: 'ty":"Köln"}' } }),
    );
    expect(message['tool_calls']).toEqual([
      { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Köln"}' } },
      { id: 'call_2', type: 'function', function: { name: 'time', arguments: '{}' } },
    ]);
    expect(message['content']).toBeNull();
  });

  it('are whole when the engine sends them whole, with or without an index', () => {
    const message = messageOf(
      call(
        { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } },
        { id: 'b', function: { name: 'g', arguments: '1' } },
      ),
    );
    expect(message['tool_calls']).toEqual([
      { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } },
      { id: 'b', type: 'function', function: { name: 'g', arguments: '1' } },
    ]);
  });

  it('do not repeat a name or an id that the engine repeats', () => {
    const message = messageOf(
      call({ index: 0, id: 'a', function: { name: 'f', arguments: '1' } }),
      call({ index: 0, id: 'a', function: { name: 'f', arguments: '2' } }),
    );
    expect(message['tool_calls']).toEqual([{ id: 'a', type: 'function', function: { name: 'f', arguments: '12' } }]);
  });

  it('are absent when there were none', () => {
    expect(messageOf(delta({ content: 'a' }))).not.toHaveProperty('tool_calls');
  });
});

describe('collecting', () => {
  it('gives the same wherever the bytes are cut, also inside a character', () => {
    const all = Buffer.from(
      delta({ role: 'assistant', content: 'ü' }) + delta({ content: '€😀' }) + delta({}, { finish_reason: 'stop' }),
    );
    fc.assert(
      fc.property(fc.array(fc.nat(all.length)), (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), all.length];
        const collector = chatCollector();
        for (const [index, end] of places.slice(1).entries()) collector.push(all.subarray(places[index], end));
        expect(collector.finish()).toMatchObject({ choices: [{ message: { content: 'ü€😀' }, finish_reason: 'stop' }] });
      }),
    );
  });

  it('takes a last event without its empty line', () => {
    const collector = chatCollector();
    collector.push(Buffer.from(delta({ content: 'a' }).trimEnd()));
    expect(collector.finish()).toMatchObject({ choices: [{ message: { content: 'a' } }] });
  });
});
