import type { ChunkKind } from '@lai/shared/attempt';
import { sseData } from '@lai/shared/sse';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type StreamEnding, StreamScanner } from './stream-scanner.ts';

// Exchanges of the shape that was recorded from the engines, shortened.

const llamaHead = '"created":1795241344,"id":"chatcmpl-MEb8Yqji","model":"stories260k","system_fingerprint":"b11669-Debian"';
const llama = (delta: string, { finish = 'null', more = '' } = {}) =>
  `data: {"choices":[{"finish_reason":${finish},"index":0,"delta":${delta}}],${llamaHead},"object":"chat.completion.chunk"${more}}\n\n`;
const llamaUsage = `data: {"choices":[],${llamaHead},"object":"chat.completion.chunk","usage":{"completion_tokens":8,"prompt_tokens":5,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":4}},"timings":{"cache_n":4,"prompt_n":1}}\n\n`;

const ollama = (delta: string, { finish = 'null', model = 'llama3.2' } = {}) =>
  `data: {"id":"chatcmpl-155","object":"chat.completion.chunk","created":1795241643,"model":"${model}","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":${delta},"finish_reason":${finish}}]}\n\n`;
const ollamaUsage =
  'data: {"id":"chatcmpl-155","object":"chat.completion.chunk","created":1795241643,"model":"llama3.2","system_fingerprint":"fp_ollama","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}\n\n';
const ollamaText = (text: string, { finish = 'null', usage = '' } = {}) =>
  `data: {"id":"cmpl-384","object":"text_completion","created":1795242641,"choices":[{"text":"${text}","index":0,"finish_reason":${finish}}],"model":"big","system_fingerprint":"fp_ollama"${usage}}\n\n`;
const zeroUsage = ',"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}';

const vllm = (delta: string, { finish = 'null', more = '' } = {}) =>
  `data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"qwen","choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${finish}}]${more}}\n\n`;

const DONE = 'data: [DONE]\n\n';

const complete = (
  finishReason: string,
  usage: { promptTokens: number; completionTokens: number; cachedTokens?: number } | null = null,
): StreamEnding => ({ kind: 'complete', finishReason, usage: usage && { cachedTokens: 0, ...usage } });

interface Exchange {
  readonly events: readonly [ChunkKind | null, string][];
  readonly ending: StreamEnding;
}

const good: Record<string, Exchange> = {
  'llama-server, chat with usage': {
    events: [
      ['prelude', llama('{"role":"assistant","content":null}')],
      ['content', llama('{"content":","}')],
      ['content', llama('{"content":" there was ü€😀"}')],
      ['content', llama('{}', { finish: '"length"' })],
      ['usage', llamaUsage],
      [null, DONE],
    ],
    ending: complete('length', { promptTokens: 5, completionTokens: 8, cachedTokens: 4 }),
  },
  'llama-server, chat without usage': {
    events: [
      ['prelude', llama('{"role":"assistant","content":null}')],
      ['content', llama('{"content":"a"}')],
      ['content', llama('{}', { finish: '"stop"', more: ',"timings":{"cache_n":4}' })],
      [null, DONE],
    ],
    ending: complete('stop'),
  },
  'Ollama, whose first delta has role and text': {
    events: [
      ['content', ollama('{"role":"assistant","content":","}')],
      ['content', ollama('{"content":" there"}')],
      ['content', ollama('{"content":""}', { finish: '"length"' })],
      ['usage', ollamaUsage],
      [null, DONE],
    ],
    ending: complete('length', { promptTokens: 9, completionTokens: 3 }),
  },
  'Ollama, completions with zero usage on every chunk': {
    events: [
      ['content', ollamaText(',', { usage: zeroUsage })],
      ['content', ollamaText(' there', { usage: zeroUsage })],
      ['content', ollamaText('', { finish: '"length"', usage: zeroUsage })],
      ['usage', ollamaUsage],
      [null, DONE],
    ],
    ending: complete('length', { promptTokens: 9, completionTokens: 3 }),
  },
  'llama-server, completions with usage on the last chunk': {
    events: [
      ['content', ollamaText('a')],
      ['content', ollamaText('', { finish: '"stop"', usage: ',"usage":{"completion_tokens":4,"prompt_tokens":5}' })],
      [null, DONE],
    ],
    ending: complete('stop', { promptTokens: 5, completionTokens: 4 }),
  },
  'vLLM, reasoning first, usage on every chunk': {
    events: [
      ['prelude', vllm('{"role":"assistant","content":""}', { more: ',"usage":{"prompt_tokens":7,"completion_tokens":0}' })],
      ['content', vllm('{"reasoning_content":"hm"}', { more: ',"usage":{"prompt_tokens":7,"completion_tokens":1}' })],
      ['content', vllm('{"content":"yes"}', { more: ',"usage":{"prompt_tokens":7,"completion_tokens":2}' })],
      ['content', vllm('{"content":""}', { finish: '"stop"', more: ',"usage":{"prompt_tokens":7,"completion_tokens":3}' })],
      [null, DONE],
    ],
    ending: complete('stop', { promptTokens: 7, completionTokens: 3 }),
  },
  'a tool call': {
    events: [
      ['prelude', vllm('{"role":"assistant","content":null}')],
      ['prelude', vllm('{"content":""}')],
      ['content', vllm('{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}')],
      ['content', vllm('{"tool_calls":[{"index":0,"function":{"arguments":"{\\"x\\":1}"}}]}')],
      ['content', vllm('{}', { finish: '"tool_calls"' })],
      [null, DONE],
    ],
    ending: complete('tool_calls'),
  },
  'a refusal': {
    events: [
      ['content', vllm('{"role":"assistant","refusal":"no"}')],
      ['content', vllm('{}', { finish: '"content_filter"' })],
      [null, DONE],
    ],
    ending: complete('content_filter'),
  },
  'an answer without a word': {
    events: [
      ['prelude', vllm('{"role":"assistant","content":""}')],
      ['prelude', vllm('{}', { finish: '"stop"' })],
      ['usage', ollamaUsage],
      [null, DONE],
    ],
    ending: complete('stop', { promptTokens: 9, completionTokens: 3 }),
  },
  'comments while the prompt is read': {
    events: [
      [null, ': keepalive 1/2\n\n'],
      ['prelude', vllm('{"role":"assistant","content":""}')],
      [null, ': keepalive 2/2\n\n'],
      ['content', vllm('{"content":"a"}')],
      [null, ':\n\n'],
      ['content', vllm('{}', { finish: '"stop"' })],
      [null, DONE],
    ],
    ending: complete('stop'),
  },
  'a comment right above its event, and fields we have no use for': {
    events: [
      ['prelude', `: keepalive\n${vllm('{"role":"assistant","content":""}')}`],
      ['content', `id: 7\n: still here\nevent: message\n${vllm('{"content":"a"}')}`],
      ['content', `retry: 100\n${vllm('{}', { finish: '"stop"' })}`],
      [null, `event: done\n: bye\n${DONE}`],
    ],
    ending: complete('stop'),
  },
  'more empty lines than needed': {
    events: [
      ['content', vllm('{"content":"a"}')],
      ['content', `\n${vllm('{}', { finish: '"stop"' })}`],
      [null, `\n${DONE}\n`],
    ],
    ending: complete('stop'),
  },
  'text that looks like the stream own words': {
    events: [
      ['prelude', vllm('{"role":"assistant","content":""}')],
      ['content', vllm(`{"content":${JSON.stringify('{"error":{"message":"x"},"finish_reason":"length","choices":[]}')}}`)],
      ['content', vllm(`{"content":${JSON.stringify('\n\ndata: [DONE]\n\n"object":"error","usage":{"prompt_tokens":99}')}}`)],
      ['content', vllm('{}', { finish: '"stop"' })],
      [null, DONE],
    ],
    ending: complete('stop'),
  },
  'null in place of objects': {
    events: [
      ['content', vllm('{"content":"Hi"}')],
      [null, 'data: {"id":"c","choices":null}\n\n'],
      ['content', vllm('{}', { finish: '"stop"' })],
      [null, DONE],
    ],
    ending: complete('stop'),
  },
  'no space behind the colon': {
    events: [
      ['content', vllm('{"content":"a"}').replace('data: ', 'data:')],
      ['content', vllm('{}', { finish: '"stop"' }).replace('data: ', 'data:')],
      [null, 'data:[DONE]\n\n'],
    ],
    ending: complete('stop'),
  },
};

const incomplete = (detail: string): StreamEnding => ({ kind: 'incomplete', detail, usage: null });
const error = (text: string | RegExp) => ({
  kind: 'error',
  text: typeof text === 'string' ? text : expect.stringMatching(text),
  usage: null,
});

/** Clean ends, under HTTP 200, of answers that are not. */
const disguises: Record<string, { readonly text: string; readonly ending: unknown }> = {
  'Ollama runner died: one empty delta of a model without a name': {
    text: ollama('{"role":"assistant","content":"("}') + ollama('{"content":""}', { model: '' }),
    ending: incomplete('the stream ended with no finish_reason'),
  },
  'Ollama repeat guard': {
    text: ollamaText('(').repeat(30),
    ending: incomplete('the stream ended with no finish_reason'),
  },
  'a terminator without a finish_reason': {
    text: ollama('{"content":"("}') + DONE,
    ending: incomplete('the stream ended with no finish_reason'),
  },
  'a finish_reason without a terminator': {
    text: ollama('{"content":"("}') + ollama('{}', { finish: '"stop"' }),
    ending: incomplete('the stream ended with no [DONE]'),
  },
  'nothing at all': { text: '', ending: incomplete('the stream ended with no finish_reason') },
  'comments only': {
    text: ': keepalive 1/9\n\n: keepalive 2/9\n\n',
    ending: incomplete('the stream ended with no finish_reason'),
  },
  'llama-server router lost its child: raw text in the stream': {
    text: `${llama('{"content":"("}')}proxy error: Failed to read connection`,
    ending: error('proxy error: Failed to read connection'),
  },
  'Ollama native error line': {
    text: `${ollama('{"content":"("}')}{"error":"an error was encountered while running the model: unexpected EOF"}\n`,
    ending: error(/unexpected EOF/),
  },
  'raw text, and more of it': {
    text: 'proxy error: Failed to read connection\n\nbye\n\n',
    ending: error('proxy error: Failed to read connection'),
  },
  'a web page': { text: '<html><body>502 Bad Gateway</body></html>\n', ending: error(/^<html>/) },
  'vLLM: an error, then [DONE] as if nothing were': {
    text: `${vllm('{"content":"a"}')}data: {"error":{"message":"EngineCore died","type":"InternalServerError","code":500}}\n\n${DONE}`,
    ending: error(/EngineCore died/),
  },
  'an error after the finish_reason': {
    text: `${vllm('{"content":"a"}')}${vllm('{}', { finish: '"stop"' })}data: {"error":"late"}\n\n${DONE}`,
    ending: error(/late/),
  },
  'llama-server: an error event': {
    text: `${llama('{"content":"("}')}event: error\ndata: {"error":{"code":500,"message":"slot lost","type":"server_error"}}\n\n`,
    ending: error(/slot lost/),
  },
  'vLLM: aborted by the engine': {
    text: `${vllm('{"content":"The first half of"}')}${vllm('{"content":""}', { finish: '"abort"' })}${DONE}`,
    ending: incomplete('the engine ended the answer with finish_reason "abort"'),
  },
  'an error that is not the first key': {
    text: `${vllm('{"content":"a"}')}${vllm('{"content":""}', { finish: '"error"', more: ',"error":{"message":"engine gone"}' })}${DONE}`,
    ending: error(/engine gone/),
  },
  'one of two choices has not finished': {
    text: `${vllm('{"content":"a"}', { finish: '"stop"' })}${vllm('{"content":"b"}').replace('"index":0', '"index":1')}${DONE}`,
    ending: incomplete('the stream ended with no finish_reason'),
  },
  'the error object of old vLLM': {
    text: 'data: {"object":"error","message":"out of memory","type":"BadRequestError","code":400}\n\n',
    ending: error(/out of memory/),
  },
};

/** What came out: neighbours of one kind as one text, as the pieces' borders mean nothing. */
const scan = (pieces: readonly Buffer[]) => {
  const scanner = new StreamScanner();
  const out: { kind: ChunkKind; bytes: Buffer }[] = [];
  const take = (more: readonly { kind: ChunkKind; bytes: Uint8Array }[]) => {
    for (const { kind, bytes } of more) {
      const last = out.at(-1);
      if (last?.kind === kind) last.bytes = Buffer.concat([last.bytes, bytes]);
      else out.push({ kind, bytes: Buffer.from(bytes) });
    }
  };
  for (const piece of pieces) take(scanner.push(piece));
  const { pieces: rest, ending } = scanner.finish();
  take(rest);
  return { out: out.map(({ kind, bytes }) => [kind, bytes.toString()] as const), ending };
};

/** Of an event what a client needs: its data, in one line. */
const dataLine = (event: string): string => {
  const line = event.split('\n').find((text) => text.startsWith('data:')) ?? '';
  return sseData(line.slice(5).trim());
};

const expected = (events: Exchange['events']) => {
  const out: [ChunkKind, string][] = [];
  for (const [kind, event] of events) {
    const text = dataLine(event);
    const last = out.at(-1);
    if (kind !== null && last?.[0] === kind) last[1] += text;
    else if (kind !== null) out.push([kind, text]);
  }
  return out;
};

describe.each(Object.entries(good))('%s', (_, { events, ending }) => {
  const text = events.map(([, event]) => event).join('');

  it('is sorted and passed on, one data line per event', () => {
    expect(scan([Buffer.from(text)])).toEqual({ out: expected(events), ending });
  });

  it('is the same byte by byte, also inside a character', () => {
    const bytes = Buffer.from(text);
    expect(scan(Array.from(bytes, (_byte, at) => bytes.subarray(at, at + 1)))).toEqual({ out: expected(events), ending });
  });

  it.each(['\r\n', '\r'])('is the same with %j', (lineEnd) => {
    expect(scan([Buffer.from(text.replaceAll('\n', lineEnd))])).toEqual({ out: expected(events), ending });
  });

  it('is the same behind a byte order mark', () => {
    expect(scan([Buffer.from(`\uFEFF${text}`)])).toEqual({ out: expected(events), ending });
  });

  it('is the same without its last empty line', () => {
    expect(scan([Buffer.from(text.trimEnd())])).toEqual({ out: expected(events), ending });
  });
});

describe.each(Object.entries(disguises))('no success: %s', (_, { text, ending }) => {
  it('is seen through', () => {
    expect(scan([Buffer.from(text)]).ending).toEqual(ending);
  });

  it('never reaches the client', () => {
    const passed = scan([Buffer.from(text)]).out.map(([, bytes]) => bytes);
    expect(passed.join('')).not.toMatch(/proxy error|"error"|"abort"|\[DONE\]|<html>/);
  });
});

describe('a stream', () => {
  const streams = [
    ...Object.values(good).map(({ events }) => events.map(([, event]) => event).join('')),
    ...Object.values(disguises).map(({ text }) => text),
  ];

  it('has the same pieces, kinds and ending wherever it is cut', () => {
    const anyStream = fc.tuple(fc.constantFrom(...streams), fc.boolean(), fc.boolean());
    fc.assert(
      fc.property(anyStream, fc.array(fc.nat(4_000), { maxLength: 60 }), ([text, isCrlf, isCutShort], cuts) => {
        const all = Buffer.from(isCrlf ? text.replaceAll('\n', '\r\n') : text);
        const bytes = isCutShort ? all.subarray(0, (cuts[0] ?? 0) % (all.length + 1)) : all;
        const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        const pieces = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
        expect(scan(pieces)).toEqual(scan([bytes]));
      }),
      { numRuns: 300 },
    );
  });

  it('passes an event on as soon as it is whole, not before', () => {
    const scanner = new StreamScanner();
    const event = vllm('{"content":"ü"}');
    expect(scanner.push(Buffer.from(event.slice(0, -1)))).toEqual([]);
    const [piece] = scanner.push(Buffer.from('\n'));
    expect(piece?.kind).toBe('content');
    expect(Buffer.from(piece?.bytes ?? []).toString()).toBe(event);
    expect(scanner.isDone).toBe(false);
    scanner.push(Buffer.from(DONE));
    expect(scanner.isDone).toBe(true);
  });

  it('comes in one piece per run of one kind', () => {
    const text = vllm('{"role":"assistant","content":""}') + vllm('{"content":"a"}') + vllm('{"content":"b"}') + ollamaUsage;
    expect(new StreamScanner().push(Buffer.from(text)).map(({ kind }) => kind)).toEqual(['prelude', 'content', 'usage']);
  });
});

describe('usage', () => {
  const usageOf = (...usages: string[]) => {
    const scanner = new StreamScanner();
    for (const usage of usages) scanner.push(Buffer.from(`data: {"choices":[],"usage":${usage}}\n\n`));
    return scanner.usage;
  };

  it.each<[string, string[], ReturnType<typeof usageOf>]>([
    [
      'is what was told',
      ['{"prompt_tokens":5,"completion_tokens":8}'],
      { promptTokens: 5, completionTokens: 8, cachedTokens: 0 },
    ],
    [
      'tells cached tokens where the engine does',
      ['{"prompt_tokens":5,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":4}}'],
      { promptTokens: 5, completionTokens: 8, cachedTokens: 4 },
    ],
    ['is nothing when it is all zeros', ['{"prompt_tokens":0,"completion_tokens":0}'], null],
    [
      'is not overwritten by zeros',
      ['{"prompt_tokens":5,"completion_tokens":8}', '{"prompt_tokens":0,"completion_tokens":0}'],
      { promptTokens: 5, completionTokens: 8, cachedTokens: 0 },
    ],
    [
      'is the last one told',
      ['{"prompt_tokens":5,"completion_tokens":1}', '{"prompt_tokens":5,"completion_tokens":2}'],
      { promptTokens: 5, completionTokens: 2, cachedTokens: 0 },
    ],
    ['is nothing when it is null', ['null'], null],
    [
      'takes null details for none',
      ['{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":null}'],
      { promptTokens: 5, completionTokens: 1, cachedTokens: 0 },
    ],
    ['is nothing when it cannot be read', ['{"prompt_tokens":}'], null],
    ['counts a prompt that got no answer', ['{"prompt_tokens":5}'], { promptTokens: 5, completionTokens: 0, cachedTokens: 0 }],
  ])('%s', (_, told, usage) => {
    expect(usageOf(...told)).toEqual(usage);
  });

  it('is known also of an answer that broke off', () => {
    const text = vllm('{"content":"a"}', { more: ',"usage":{"prompt_tokens":7,"completion_tokens":1}' });
    expect(scan([Buffer.from(text)]).ending).toMatchObject({
      kind: 'incomplete',
      usage: { promptTokens: 7, completionTokens: 1 },
    });
    expect(scan([Buffer.from(`${text}proxy error`)]).ending).toMatchObject({ kind: 'error', usage: { completionTokens: 1 } });
  });
});
