import { describe, expect, it } from 'vitest';
import { type AnswerEvent, AnswerReader } from './answer-stream.ts';

const read = (text: string): AnswerEvent[] => {
  const reader = new AnswerReader();
  return [...reader.push(text), ...reader.finish()];
};
const data = (json: string): string => `data: ${json}\n\n`;
const choice = (fields: string): string => `{"choices":[{"index":0,${fields}}]}`;
const chunkOf = (json: string) => {
  const [event] = read(data(json));
  if (event?.kind !== 'chunk') throw new Error(`no chunk but ${event?.kind}`);
  return event.chunk;
};

describe('null in place of an object', () => {
  it.each([
    ['a delta', choice('"delta":null,"finish_reason":"stop"'), { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }],
    ['no delta', choice('"finish_reason":"stop"'), { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }],
    ['choices', '{"choices":null,"usage":{"prompt_tokens":1}}', { choices: [], usage: { prompt_tokens: 1 } }],
    ['a choice', '{"choices":[null,{"index":0,"delta":{"content":"a"}}]}', { choices: [{ index: 0, delta: { content: 'a' } }] }],
    ['a call', choice('"delta":{"tool_calls":[null]}'), { choices: [{ index: 0, delta: { tool_calls: [] } }] }],
    [
      'a function',
      choice('"delta":{"tool_calls":[{"id":"a","function":null}]}'),
      { choices: [{ index: 0, delta: { tool_calls: [{ id: 'a', function: {} }] } }] },
    ],
    ['log probabilities', choice('"delta":{},"logprobs":null'), { choices: [{ index: 0, delta: {}, logprobs: null }] }],
  ])('is none: %s', (_, json, chunk) => {
    expect(chunkOf(json)).toEqual(chunk);
  });

  it('is no event', () => {
    expect(read(data('null') + data('{"type":"ping"}') + data(''))).toEqual([]);
  });
});

describe('a text', () => {
  it('is put together from its parts', () => {
    expect(chunkOf(choice('"delta":{"content":[{"type":"text","text":"a"},"b",{"type":"image"}]}'))).toMatchObject({
      choices: [{ delta: { content: 'ab' } }],
    });
  });

  it('is read from a message that stands in place of a delta', () => {
    expect(chunkOf(choice('"message":{"role":"assistant","content":"a"},"finish_reason":"stop"'))).toMatchObject({
      choices: [{ delta: { content: 'a' } }],
    });
  });
});

describe('what is no JSON number', () => {
  it('becomes null, but not inside of a string', () => {
    const [event] = read(
      data(choice('"delta":{"content":"NaN -Infinity"},"logprobs":{"content":[{"logprob":-Infinity,"a":NaN,"b":Infinity}]}')),
    );
    expect(event).toMatchObject({
      kind: 'chunk',
      json: choice('"delta":{"content":"NaN -Infinity"},"logprobs":{"content":[{"logprob":null,"a":null,"b":null}]}'),
    });
  });
});

describe('an error', () => {
  it.each([
    '{"error":{"message":"x"}}',
    '{"id":"c","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"error":{"message":"x"}}',
    '{"id":"c","error":"x"}',
    '{"object":"error","message":"x"}',
    '{"choices":[{"index":0,"delta":{},"error":{"code":502}}]}',
  ])('is found wherever it stands: %s', (json) => {
    expect(read(data(json))).toMatchObject([{ kind: 'error' }]);
  });

  it.each(['null', '""', '{}', 'false'])('is none when it is %s', (nothing) => {
    expect(read(data(`{"error":${nothing},"choices":[{"index":0,"delta":{"content":"a"}}]}`))).toMatchObject([{ kind: 'chunk' }]);
  });

  it('is every event of that name, and text that is no event', () => {
    expect(read('event: error\ndata: gone\n\n')).toEqual([{ kind: 'error', text: 'gone' }]);
    expect(read('proxy error: gone')).toEqual([{ kind: 'error', text: 'proxy error: gone' }]);
    expect(read(`${data(choice('"delta":{}')).trimEnd()}\nproxy error: gone`)).toMatchObject([
      { kind: 'chunk' },
      { kind: 'error' },
    ]);
  });

  it('is not made of a field that is newer than this reader', () => {
    expect(read(`x-trace: 7\n${data(choice('"delta":{}'))}`)).toMatchObject([{ kind: 'chunk' }]);
  });
});

describe('a finish reason', () => {
  it.each(['stop', 'length', 'tool_calls', 'function_call', 'content_filter'])('%s finishes an answer', (word) => {
    expect(chunkOf(choice(`"delta":{},"finish_reason":"${word}"`)).choices[0]?.finish_reason).toBe(word);
  });

  it.each(['"abort"', '"error"', '"cancelled"', '"STOP"', '"unknown"', '5', '{}'])('%s finishes none', (word) => {
    expect(read(data(choice(`"delta":{},"finish_reason":${word}`)))).toMatchObject([{ kind: 'aborted', reason: word }]);
  });

  it.each(['null', '""'])('%s is none yet', (word) => {
    expect(chunkOf(choice(`"delta":{},"finish_reason":${word}`)).choices[0]?.finish_reason).toBeNull();
  });
});

describe('what is no chunk', () => {
  it.each([
    '[]',
    '5',
    '"text"',
    '{',
    '{"choices":{}}',
    '{"choices":[5]}',
    choice('"delta":"a"'),
    choice('"delta":{"content":5}'),
  ])('is said to be unreadable: %s', (json) => {
    expect(read(data(json))).toMatchObject([{ kind: 'unreadable' }]);
  });
});

describe('the terminator', () => {
  it('is the last thing that is read', () => {
    expect(read(`${data('[DONE]')}proxy error\n\n${data('{"error":"late"}')}`)).toEqual([{ kind: 'done' }]);
  });
});

describe('numbers', () => {
  it('keep their digits when a chunk is written again', () => {
    const json = '{"choices":[{"index":0,"delta":{},"seed":12345678901234567891,"one":1.0,"far":1e400}]}';
    expect(JSON.stringify(chunkOf(json))).toBe(json);
  });
});
