import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Normaliser } from '@lai/shared/answer-normaliser';
import { AnswerReader } from '@lai/shared/answer-stream';
import { EventSplitter, sseData } from '@lai/shared/sse';
import fc from 'fast-check';
import { ChatCompletionStream } from 'openai/lib/ChatCompletionStream';
import { describe, expect, it } from 'vitest';
import { StreamScanner } from './stream-scanner.ts';

/** Recorded from real engines with a tiny model. Calls are written as the engines' sources write them: no tiny model makes any. */
const recorded = (name: string): string => readFileSync(join(import.meta.dirname, '__fixtures__', `${name}.sse`), 'utf8');

const head = '"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"qwen"';
const chunk = (delta: string, { finish = 'null', more = '' } = {}) =>
  `data: {${head},"choices":[{"index":0,"delta":${delta},"finish_reason":${finish}}]${more}}\n\n`;
const DONE = 'data: [DONE]\n\n';

const mend = (...chunks: string[]): string[] => {
  const reader = new AnswerReader();
  const normaliser = new Normaliser();
  return chunks.map((text) => {
    const [event] = reader.push(text);
    if (event?.kind !== 'chunk') throw new Error(`no chunk: ${text}`);
    const isMended = normaliser.mend(event.chunk);
    return sseData(event.isTidied || isMended ? event.chunk : event.json);
  });
};
const deltasOf = (chunks: readonly string[]) => chunks.map((text) => JSON.parse(text.slice(6)).choices[0].delta);

/** What a client is sent of an engine's stream. */
const relayed = (stream: string): { text: string; ending: string } => {
  const scanner = new StreamScanner(new Normaliser());
  const pieces = scanner.push(Buffer.from(stream));
  const { pieces: last, ending } = scanner.finish();
  return { text: Buffer.concat([...pieces, ...last].map(({ bytes }) => bytes)).toString(), ending: ending.kind };
};
const chunksOf = (text: string) => new EventSplitter().push(text).map((data) => JSON.parse(data));

/** openai-node's strict helper, which throws on everything it finds missing. */
const finalAnswer = (stream: string) => {
  const lines = chunksOf(relayed(stream).text).map((value) => `${JSON.stringify(value)}\n`);
  return ChatCompletionStream.fromReadableStream(
    new Blob(lines).stream() as Parameters<typeof ChatCompletionStream.fromReadableStream>[0],
  ).finalChatCompletion();
};

describe('a healthy chunk', () => {
  const healthy = [
    chunk('{"role":"assistant","content":""}'),
    chunk('{"content":"a \\"role\\": \\"user\\" and \\"usage\\": {1}"}'),
    chunk('{"content":"its key is \\"role"}'),
    chunk('{"reasoning_content":"hm"}'),
    chunk('{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}'),
    chunk('{"tool_calls":[{"index":0,"function":{"arguments":"{\\"tool_calls\\":[]}"}}]}'),
    chunk('{}', { finish: '"tool_calls"' }),
  ];

  it('stays as it is, byte for byte', () => {
    expect(mend(...healthy)).toEqual(healthy);
  });

  it('stays so whatever is said in it', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (texts) => {
        const chunks = [
          healthy[0] ?? '',
          ...texts.map((text) => chunk(JSON.stringify({ content: `"role":"x","usage":{} ${text}` }))),
        ];
        expect(mend(...chunks)).toEqual(chunks);
      }),
    );
  });
});

describe('a role', () => {
  it('is said once, in the first chunk', () => {
    const chunks = mend(
      chunk('{"role":"assistant","content":"a"}'),
      chunk('{"role":"assistant","content":"b"}'),
      chunk('{"content":"c","role":"assistant"}'),
      chunk('{"role":"assistant"}', { finish: '"stop"' }),
    );
    expect(deltasOf(chunks)).toEqual([{ role: 'assistant', content: 'a' }, { content: 'b' }, { content: 'c' }, {}]);
  });

  it('is said at all', () => {
    expect(deltasOf(mend(chunk('{"content":"a"}'), chunk('{"content":"b"}')))).toEqual([
      { role: 'assistant', content: 'a' },
      { content: 'b' },
    ]);
    expect(deltasOf(mend(chunk('{}')))).toEqual([{ role: 'assistant' }]);
    expect(deltasOf(mend(chunk('{"role":"","content":"a"}')))).toEqual([{ role: 'assistant', content: 'a' }]);
    expect(deltasOf(mend(chunk('{"role":null,"content":"a"}')))).toEqual([{ role: 'assistant', content: 'a' }]);
  });

  it('is said once for each of several choices', () => {
    const choice = (index: number) =>
      `data: {${head},"choices":[{"index":${index},"delta":{"role":"assistant"},"finish_reason":null}]}\n\n`;
    expect(deltasOf(mend(choice(0), choice(1), choice(1)))).toEqual([{ role: 'assistant' }, { role: 'assistant' }, {}]);
  });
});

describe('reasoning', () => {
  it('is told under both names', () => {
    const words = 'so "what"\\n';
    const [delta] = deltasOf(mend(chunk(`{"role":"assistant","reasoning":${JSON.stringify(words)}}`)));
    expect(delta).toEqual({ role: 'assistant', reasoning: words, reasoning_content: words });
  });
});

describe('usage', () => {
  const usage = (prompt: number, completion: number) =>
    `,"usage":{"prompt_tokens":${prompt},"completion_tokens":${completion},"total_tokens":${prompt + completion},"prompt_tokens_details":{"cached_tokens":1}}`;

  it('on every chunk becomes one chunk of its own at the end', () => {
    const stream = [
      chunk('{"role":"assistant","content":"a"}', { more: usage(7, 1) }),
      chunk('{"content":"b"}', { finish: '"stop"', more: usage(7, 2) }),
      DONE,
    ].join('');
    const chunks = chunksOf(relayed(stream).text);
    expect(chunks.map((value) => value.usage)).toEqual([
      undefined,
      undefined,
      { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9, prompt_tokens_details: { cached_tokens: 1 } },
    ]);
    expect(chunks[2]).toMatchObject({ id: 'chatcmpl-7', object: 'chat.completion.chunk', model: 'qwen', choices: [] });
  });

  it('is not told twice when there is a chunk of its own already', () => {
    const own = `data: {${head},"choices":[]${usage(7, 2)}}\n\n`;
    const chunks = chunksOf(relayed(chunk('{"content":"a"}', { finish: '"stop"', more: usage(7, 2) }) + own + DONE).text);
    expect(chunks.filter((value) => value.usage)).toHaveLength(1);
  });

  it('of zero is not told', () => {
    const zeros = `data: {${head},"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}\n\n`;
    expect(chunksOf(relayed(chunk('{"content":"a"}', { finish: '"stop"' }) + zeros + DONE).text)).toHaveLength(1);
  });
});

describe('tool calls', () => {
  const call = (json: string) => chunk(`{"tool_calls":[${json}]}`);
  const callsOf = (...chunks: string[]) =>
    deltasOf(mend(chunk('{"role":"assistant"}'), ...chunks))
      .slice(1)
      .flatMap((delta) => delta.tool_calls);

  it('have an index, an id, a type and text for arguments', () => {
    const [first, second] = callsOf(
      call('{"function":{"name":"f","arguments":{"city":"Köln","role":"user"}}}'),
      call('{"id":"mine","function":{"name":"g","arguments":"{}"}}'),
    );
    expect(first).toEqual({
      index: 0,
      id: expect.stringMatching(/^call_/),
      type: 'function',
      function: { name: 'f', arguments: '{"city":"Köln","role":"user"}' },
    });
    expect(second).toEqual({ index: 1, id: 'mine', type: 'function', function: { name: 'g', arguments: '{}' } });
  });

  it('go on where they began when the index is missing', () => {
    const calls = callsOf(
      call('{"id":"a","type":"function","function":{"name":"f","arguments":""}}'),
      call('{"function":{"arguments":"{}"}}'),
    );
    expect(calls.map(({ index }) => index)).toEqual([0, 0]);
  });

  it('are told apart when all of them are number 0', () => {
    const calls = callsOf(
      call('{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"1"}}'),
      call('{"index":0,"id":"b","type":"function","function":{"name":"f","arguments":"2"}}'),
    );
    expect(calls.map(({ index, id }) => [index, id])).toEqual([
      [0, 'a'],
      [1, 'b'],
    ]);
  });

  it('end with the reason that makes clients run them', () => {
    const [, , last] = mend(
      chunk('{"role":"assistant"}'),
      call('{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}'),
      chunk('{"content":""}', { finish: '"stop"' }),
    );
    expect(last).toContain('"finish_reason":"tool_calls"');
    expect(mend(chunk('{"role":"assistant","content":"a"}', { finish: '"stop"' }))[0]).toContain('"finish_reason":"stop"');
  });
});

describe('a stream with defects, for a strict client', () => {
  const ollama = (delta: string, finish = 'null') =>
    `data: {"id":"chatcmpl-155","object":"chat.completion.chunk","created":1795241643,"model":"llama3.2","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":${delta},"finish_reason":${finish}}]}\n\n`;
  const weather = '"function":{"name":"weather","arguments":"{\\"city\\":\\"Oslo\\"}"}';

  it.each([
    [
      'Ollama: role in every delta, whole calls, stop',
      ollama(`{"role":"assistant","content":"","tool_calls":[{"id":"call_a","index":0,"type":"function",${weather}}]}`) +
        ollama('{"role":"assistant","content":""}', '"stop"') +
        DONE,
    ],
    [
      'an Ollama before the index: two calls with one number',
      ollama(`{"role":"assistant","tool_calls":[{"id":"call_a","index":0,"type":"function",${weather}}]}`) +
        ollama(`{"role":"assistant","tool_calls":[{"id":"call_b","index":0,"type":"function",${weather}}]}`) +
        ollama('{"role":"assistant","content":""}', '"stop"') +
        DONE,
    ],
    [
      'no index, no id, no type, arguments as an object, no role',
      chunk('{"tool_calls":[{"function":{"name":"weather","arguments":{"city":"Oslo"}}}]}') +
        chunk('{}', { finish: '"stop"' }) +
        DONE,
    ],
    [
      'llama-server: head, pieces, reason',
      chunk('{"role":"assistant","content":null}') +
        chunk('{"tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"weather","arguments":"{"}}]}') +
        chunk('{"tool_calls":[{"index":0,"function":{"arguments":"\\"city\\":\\"Oslo\\"}"}}]}') +
        chunk('{}', { finish: '"tool_calls"' }) +
        DONE,
    ],
  ])('%s', async (_, stream) => {
    expect(relayed(stream).ending).toBe('complete');
    const { choices } = await finalAnswer(stream);
    expect(choices[0]?.finish_reason).toBe('tool_calls');
    for (const call of choices[0]?.message.tool_calls ?? [])
      expect(call).toMatchObject({
        id: expect.any(String),
        type: 'function',
        function: { name: 'weather', arguments: '{"city":"Oslo"}' },
      });
    expect(choices[0]?.message.tool_calls).toHaveLength(stream.includes('call_b') ? 2 : 1);
  });

  it('Ollama 0.24, chat: one role, one usage', async () => {
    const stream = recorded('ollama-0.24-chat');
    expect(stream.match(/"role"/g)).toHaveLength(4);
    const chunks = chunksOf(relayed(stream).text);
    expect(chunks.filter((value) => value.choices[0]?.delta.role)).toHaveLength(1);
    expect((await finalAnswer(stream)).choices[0]).toMatchObject({ finish_reason: 'length', message: { content: '[zU' } });
  });

  it.each(['ollama-0.24-completions', 'llama-server-0.7-completions'])('%s: usage once, logprobs said to be none', (name) => {
    const chunks = chunksOf(relayed(recorded(name)).text);
    expect(chunks.filter((value) => value.usage)).toHaveLength(1);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 3 } });
    for (const { choices } of chunks.slice(0, -1)) expect(choices[0]).toHaveProperty('logprobs', null);
  });
});
