import { readWhole } from '@lai/shared/whole-answer';
import { describe, expect, it } from 'vitest';
import { isPlainAnswer, usageOfWhole } from './whole-answers.ts';

describe('an answer that comes whole', () => {
  it.each([
    ['embeddings', '{"data":[{"embedding":[0.5]}]}'],
    ['embeddings', '{"data":[{"embedding":"AAAA"}],"error":null}'],
    ['rerank', '{"results":[{"index":0,"relevance_score":-3.5}]}'],
    ['audio.transcriptions', '{"text":""}'],
  ] as const)('has what its route promises: %s %s', (route, text) => {
    expect(readWhole(route, text)).toMatchObject({ kind: 'answer', text });
  });

  it.each([
    ['embeddings', '{"error":"Unexpected endpoint or method. (POST /v1/embeddings)"}', 'error'],
    ['embeddings', '{"data":[{"embedding":[1]}],"error":{"message":"x"}}', 'error'],
    ['embeddings', '<html>', 'error'],
    ['embeddings', '', 'error'],
    ['embeddings', '[]', 'error'],
    ['embeddings', '{}', 'missing'],
    ['embeddings', '{"data":[]}', 'missing'],
    ['embeddings', '{"data":[{"embedding":[0.5,NaN]}]}', 'missing'],
    ['embeddings', '{"data":[{"embedding":[]}]}', 'missing'],
    ['rerank', '{"results":null}', 'missing'],
    ['rerank', '{"results":[{"index":0}]}', 'missing'],
    ['audio.transcriptions', '{"segments":[]}', 'missing'],
  ] as const)('is none without it: %s %s', (route, text, kind) => {
    expect(readWhole(route, text).kind).toBe(kind);
  });

  it('has null for what is no JSON number', () => {
    const said = readWhole('audio.transcriptions', '{"text":"NaN","segments":[{"avg_logprob":-Infinity}]}');
    expect(said).toMatchObject({ text: '{"text":"NaN","segments":[{"avg_logprob":null}]}' });
  });

  it('may be words where words were asked for, but no error and no page', () => {
    const form = (format: string) =>
      Buffer.from(`--b\r\ncontent-disposition: form-data; name="response_format"\r\n\r\n${format}\r\n--b`);
    expect(isPlainAnswer('audio.transcriptions', form('srt'))).toBe(true);
    expect(isPlainAnswer('audio.transcriptions', form('json'))).toBe(false);
    const kindOf = (text: string) => readWhole('audio.transcriptions', text, { isPlain: true }).kind;
    expect(['Hello.', '', '{"error":"x"}', '<!doctype html><p>502'].map(kindOf)).toEqual(['answer', 'answer', 'error', 'error']);
  });

  it('counts what was read by its total where nothing else is told', () => {
    expect(usageOfWhole({ prompt_tokens: 3, total_tokens: 3 })).toEqual({
      promptTokens: 3,
      completionTokens: 0,
      cachedTokens: 0,
    });
    expect(usageOfWhole({ total_tokens: 4 })).toEqual({ promptTokens: 4, completionTokens: 0, cachedTokens: 0 });
    expect(usageOfWhole({ prompt_tokens: -4, total_tokens: 1.5 })).toBeNull();
    expect(usageOfWhole(undefined)).toBeNull();
  });
});
