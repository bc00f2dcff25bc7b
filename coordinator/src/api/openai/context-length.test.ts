import { describe, expect, it } from 'vitest';
import { anthropicError } from '../anthropic/error-envelope.ts';
import { ollamaError } from '../ollama/error-envelope.ts';
import { contextCounts, openAiSentence } from './context-length.ts';
import { errorBody } from './error-envelope.ts';

const OURS =
  "The prompt is longer than the model's context. No node can serve it: qwen3:8b on attic: context of 4096 tokens, about 9000 needed; on desk: context of 8192 tokens, about 9000 needed.";
const code = 'context_length_exceeded' as const;

describe('a prompt that is too long', () => {
  it.each([
    ['the coordinator estimates', OURS, { needed: 9_000, limit: 8_192 }],
    [
      'llama-server counts',
      'the request (5120 tokens) exceeds the available context size (2048 tokens)',
      { needed: 5_120, limit: 2_048 },
    ],
    ['vLLM counts', 'This model has a limit of 4096 tokens, and 5000 were sent', { needed: 5_000, limit: 4_096 }],
    ['nobody counts', 'The prompt is too long.', null],
  ])('has its numbers where %s', (_, message, counts) => {
    expect(contextCounts(message)).toEqual(counts);
  });

  it('is said in the words that clients look for, on every API', () => {
    const words = /^This model's maximum context length is 8192 tokens\. However, your messages resulted in 9000 tokens\. /;
    expect(errorBody({ code, message: OURS }).error).toMatchObject({ code, message: expect.stringMatching(words) });
    expect(ollamaError({ code, message: OURS }).body.error).toMatch(words);
    expect(anthropicError({ code, message: OURS }, 'r').body.error.message).toBe(
      'prompt is too long: 9000 tokens > 8192 maximum',
    );
  });

  it('is said once, and only where it is the reason', () => {
    const said = openAiSentence({ code, message: OURS });
    expect(openAiSentence({ code, message: said })).toBe(said);
    expect(openAiSentence({ code, message: 'Too long.' })).toBe('Too long.');
    expect(openAiSentence({ code: 'queue_full', message: OURS })).toBe(OURS);
  });
});
