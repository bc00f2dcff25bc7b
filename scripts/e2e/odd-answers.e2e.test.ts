import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import {
  answerEvents,
  answerJson,
  type ScriptedEngine,
  type SeenRequest,
  scriptedNode,
  startScriptedEngine,
} from './scripted-engine.ts';

const CHAT = 'odd:1b';
const VECTORS = 'vectors';
const head = '"id":"c","object":"chat.completion.chunk","created":1,"model":"m"';
const chunk = (delta: string, finish = 'null', more = '') =>
  `data: {${head},"choices":[{"index":0,"delta":${delta},"finish_reason":${finish}${more}}]}\n\n`;
const begun = chunk('{"role":"assistant","content":""}') + chunk('{"content":"Hi"}');
const DONE = 'data: [DONE]\n\n';

/** What the engine streams when a prompt names it, and what becomes of it. */
const STREAMS: Record<string, { readonly text: string; readonly code: string | null }> = {
  plain: { text: begun + chunk('{}', '"stop"') + DONE, code: null },
  'delta null': { text: begun + chunk('null', '"stop"') + DONE, code: null },
  'choices null': { text: `${begun}${chunk('{}', '"stop"')}data: {${head},"choices":null}\n\n${DONE}`, code: null },
  'error null': {
    text: `${begun}data: {"error":null,${head},"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n${DONE}`,
    code: null,
  },
  'minus infinity': {
    text:
      begun +
      chunk('{}', '"stop"', ',"logprobs":{"content":[{"token":"Hi","logprob":-Infinity,"bytes":[35],"top_logprobs":[]}]}') +
      DONE,
    code: null,
  },
  'carriage returns': { text: (begun + chunk('{}', '"stop"') + DONE).replaceAll('\n', '\r'), code: null },
  'byte order mark': { text: `\uFEFF${begun}${chunk('{}', '"stop"')}${DONE}`, code: null },
  'several lines': {
    text: `${begun}data: {${head},"choices":[\ndata: {"index":0,"delta":{},"finish_reason":"stop"}]}\nid: 7\n\ndata:[DONE]`,
    code: null,
  },
  abort: { text: begun + chunk('{"content":""}', '"abort"') + DONE, code: 'incomplete_answer' },
  'unknown word': { text: begun + chunk('{}', '"eviction"') + DONE, code: 'incomplete_answer' },
  'late error': {
    text: `${begun}data: {${head},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"error":{"message":"gone","code":500}}\n\n${DONE}`,
    code: 'engine_error',
  },
  'no JSON': { text: `${begun}data: {"choices":[\n\n${DONE}`, code: 'engine_error' },
  'error page': { text: '{"error":"Unexpected endpoint or method."}', code: 'engine_error' },
  nothing: { text: DONE, code: 'incomplete_answer' },
};

const script = (request: SeenRequest, response: ServerResponse): void => {
  const prompt = /SCRIPT:([a-zA-Z ]+)\./.exec(request.body.toString())?.[1] ?? 'plain';
  answerEvents(response, STREAMS[prompt]?.text ?? '');
};

describe('answers that are odd', () => {
  let engine: ScriptedEngine;
  let fleet: Fleet;

  beforeAll(async () => {
    const models = [
      { name: CHAT, capabilities: ['chat', 'completion', 'tools', 'json'] },
      { name: VECTORS, capabilities: ['embedding'] },
    ];
    engine = await startScriptedEngine(models, {
      '/v1/chat/completions': script,
      '/v1/embeddings': (_, response) =>
        answerJson(response, 200, { error: 'Unexpected endpoint or method. (POST /v1/embeddings)' }),
    });
    fleet = await Fleet.start({ nodes: [scriptedNode('odd', engine)] });
  });
  afterAll(async () => {
    await fleet?.stop();
    await engine?.close();
  });

  const ask = (path: string, body: Record<string, unknown>) =>
    fetch(`${fleet.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  const prompt = (name: string) => `SCRIPT:${name}.`;
  const SURFACES: Record<string, { path: string; body(name: string): Record<string, unknown>; ended: RegExp; failed: RegExp }> = {
    chat: {
      path: '/v1/chat/completions',
      body: (name) => ({ model: CHAT, messages: [{ role: 'user', content: prompt(name) }] }),
      ended: /"content":"Hi"[\s\S]*"finish_reason":"stop"/,
      failed: /"error":\{"message":"[^"]+","type":"server_error"/,
    },
    responses: {
      path: '/v1/responses',
      body: (name) => ({ model: CHAT, input: prompt(name) }),
      ended: /"status":"completed"[\s\S]*"text":"Hi"/,
      failed: /"error":\{"(?:code|message)"/,
    },
    messages: {
      path: '/v1/messages',
      body: (name) => ({ model: CHAT, max_tokens: 9, messages: [{ role: 'user', content: prompt(name) }] }),
      ended: /"text":"Hi"[\s\S]*"stop_reason":"end_turn"/,
      failed: /"type":"error","error":\{"type":"api_error"/,
    },
    ollama: {
      path: '/api/chat',
      body: (name) => ({ model: CHAT, messages: [{ role: 'user', content: prompt(name) }] }),
      ended: /"content":"Hi"[\s\S]*"done_reason":"stop"/,
      failed: /\{"error":"[^"]+"\}/,
    },
  };

  describe.each(Object.keys(SURFACES))('over %s', (surface) => {
    const { path, body, ended, failed } = SURFACES[surface] as (typeof SURFACES)[string];

    it.each(Object.entries(STREAMS))('are the same streamed and whole: %s', async (name, { code }) => {
      for (const stream of [false, true]) {
        const response = await ask(path, { ...body(name), stream });
        const text = await response.text();
        const isHttpError = response.status !== 200;
        if (code === null) expect({ status: response.status, text }).toEqual({ status: 200, text: expect.stringMatching(ended) });
        else expect(text).toMatch(failed);
        expect(isHttpError, `${response.status}: ${text}`).toBe(
          code !== null && (!stream || !STREAMS[name]?.text.includes('"Hi"')),
        );
        // Whatever comes is JSON that every client can read.
        for (const line of text.split('\n').filter((line) => /^data: \{|^\{/.test(line)))
          expect(() => JSON.parse(line.replace(/^data: /, ''))).not.toThrow();
        expect(text).not.toMatch(/Infinity|"abort"|"eviction"|went wrong inside/);
      }
    });
  });

  it('are no vectors when they are an error under status 200', async () => {
    const openai = await ask('/v1/embeddings', { model: VECTORS, input: 'x' });
    expect([openai.status, await openai.json()]).toMatchObject([502, { error: { code: 'engine_error' } }]);
    const ollama = await ask('/api/embed', { model: VECTORS, input: 'x' });
    expect([ollama.status, await ollama.json()]).toEqual([502, { error: expect.any(String) }]);
    const { id } = (await (await ask('/v1/jobs', { model: VECTORS, input: 'x' })).json()) as { id: string };
    const job = async () => {
      const response = await fetch(`${fleet.url}/v1/jobs/${id}`, { headers: { authorization: `Bearer ${fleet.key}` } });
      return (await response.json()) as { status: string; error: { code: string } | null };
    };
    await expect.poll(async () => (await job()).status, { timeout: 60_000 }).toBe('failed');
    expect((await job()).error?.code).toBe('engine_error');
  });
});

describe('an answer that one machine aborts', () => {
  it('is given by another machine to a client that does not stream', async () => {
    const model = [{ name: CHAT, capabilities: ['chat'] }];
    const asked = Promise.withResolvers<void>();
    const odd = await startScriptedEngine(model, {
      '/v1/chat/completions': (_, response) => {
        asked.resolve();
        answerEvents(response, STREAMS['abort']?.text ?? '');
      },
    });
    // It has two slots, and keeps them until the odd one was asked: a third request goes there.
    const well = await startScriptedEngine(model, {
      '/v1/chat/completions': async (_, response) => {
        await asked.promise;
        answerEvents(response, STREAMS['plain']?.text ?? '');
      },
    });
    const fleet = await Fleet.start({ nodes: [scriptedNode('odd', odd), scriptedNode('well', well)] });
    try {
      const answers = await Promise.all(
        ['a', 'b', 'c'].map(async (content) => {
          const response = await fleet.chat({ model: CHAT, messages: [{ role: 'user', content }] });
          return { status: response.status, node: response.headers.get('x-lai-node'), text: await response.text() };
        }),
      );
      for (const answer of answers)
        expect(answer).toEqual({ status: 200, node: 'well', text: expect.stringContaining('"content":"Hi"') });
      expect(odd.seen.length).toBeGreaterThan(0);
    } finally {
      await fleet.stop();
      await Promise.all([odd.close(), well.close()]);
    }
  });
});
