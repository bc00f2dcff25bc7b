import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeUnplain, isPlain, plainText } from './plain-text.ts';

const names = ['plain:1b', 'модель:7b', '模型:7b', 'llama3.2:3b-instruct-q4_K_M', 'hf.co/a/b:Q4', 'é😀', 'a b'];
const unplain = [
  ['an escape', 'a\u001b[2Jb'],
  ['a C1 control', 'a\u009b31mb'],
  ['a line end', 'a\r\nb'],
  ['a direction override', 'a\u202eb'],
  ['a zero-width space', 'a\u200bb'],
  ['a line separator', 'a\u2028b'],
  ['half a surrogate pair', 'a\ud800b'],
  ['a tag character', 'a\u{e0041}b'],
  ['a noncharacter', 'a\ufdd0b'],
] as const;

/** Text of any code units, with those that terminals act on far more often than chance would have them. */
const anyText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
      fc.constantFrom(...unplain.map(([, text]) => text), '\u001b]0;t\u0007', '\u001b]8;;http://x\u0007', '\u009d52;c;x\u009c'),
    ),
  )
  .map((pieces) => pieces.join(''));

describe('plain text', () => {
  it.each(names)('keeps %s', (name) => {
    expect(isPlain(name)).toBe(true);
    expect(plainText(name)).toBe(name);
    expect(escapeUnplain(name)).toBe(name);
  });

  it.each(unplain)('refuses and replaces %s', (_, text) => {
    expect(isPlain(text)).toBe(false);
    expect(plainText(text)).toContain('\ufffd');
    expect(isPlain(escapeUnplain(text).replaceAll('\n', ''))).toBe(true);
  });

  it('contains nothing that a terminal acts on, whatever went in, and is no longer than allowed', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 80 }), (text, most) => {
        const plain = plainText(text, most);
        expect(isPlain(plain)).toBe(true);
        expect(plain.length).toBeLessThanOrEqual(most);
      }),
      { numRuns: 2_000 },
    );
  });

  it('escapes to the same value in JSON', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const json = JSON.stringify({ text });
        const escaped = escapeUnplain(json);
        expect(isPlain(escaped)).toBe(true);
        expect(JSON.parse(escaped)).toEqual({ text });
      }),
      { numRuns: 2_000 },
    );
  });
});
