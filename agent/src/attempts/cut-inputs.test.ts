import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutInputs, MOST_CUTS } from './cut-inputs.ts';

const bodyOf = (fields: Record<string, unknown>): Buffer =>
  Buffer.from(JSON.stringify({ model: 'm', truncate: true, ...fields }));
const LLAMA = 'input (3602 tokens) is too large to process. increase the physical batch size (current batch size: 512)';
const cut = (input: unknown, refusal: string) => {
  const body = cutInputs(bodyOf({ input }), refusal);
  return body && (JSON.parse(body.toString()) as { input: unknown }).input;
};

describe('cutInputs', () => {
  it('cuts the inputs that are too long, and no others, to what the engine tells', () => {
    const [short, long] = cut(['a', 'b'.repeat(3602)], LLAMA) as string[];
    expect(short).toBe('a');
    expect(long).toHaveLength(Math.floor(512 * 0.95));
    expect(cut('b'.repeat(100), 'the prompt exceeds the context')).toHaveLength(50);
  });

  it('cuts nothing that the client wants whole, and for no other refusal', () => {
    expect(cutInputs(bodyOf({ input: 'abc', truncate: false }), LLAMA)).toBeNull();
    expect(cutInputs(bodyOf({ input: 'abc', truncate: undefined }), LLAMA)).toBeNull();
    expect(cut('abc', 'model not found')).toBeNull();
    expect(cut([1, 2, 3], LLAMA)).toBeNull();
    expect(cut('', LLAMA)).toBeNull();
  });

  it('cuts no character in two', () => {
    expect(cut('😀'.repeat(3), 'context')).toBe('😀');
  });

  it('comes to an end with every engine, in few tries', () => {
    const texts = fc.array(fc.string({ maxLength: 3_000 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 500 }), fc.boolean(), (input, limit, tellsFigures) => {
        let body: Buffer | null = bodyOf({ input });
        let tries = 0;
        for (; body !== null; tries += 1) {
          const longest = Math.max(...(JSON.parse(body.toString()) as { input: string[] }).input.map(({ length }) => length));
          if (longest <= limit) break;
          body = cutInputs(body, tellsFigures ? `context of ${limit} tokens, ${longest} needed` : 'context too long');
        }
        expect(tries).toBeLessThan(MOST_CUTS);
      }),
    );
  });
});
