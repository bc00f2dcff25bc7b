import { styleText } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPlain } from './plain-text.ts';
import { escapedTexts, escapeObeyed, guardTerminal, ownControls, terminalText } from './terminal-text.ts';

const SEQUENCES = [
  '\u001b]0;title\u0007',
  '\u001b]52;c;eA==\u0007',
  '\u001b]8;;http://x\u001b\\link',
  '\u009d0;title\u009c',
  '\u001b[2J',
  '\u001b[8m',
  '\u009b31m',
  '\u202eevil\u202c',
  '\u2066a\u2069',
  '\r',
  '\b',
  '\ud800',
];
const anyText = fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...SEQUENCES))).map((pieces) => pieces.join(''));
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to find.
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\p{Surrogate}/u;

describe('text for a terminal', () => {
  it.each(SEQUENCES)('shows the sequence %j instead of passing it on', (sequence) => {
    expect(terminalText(`a${sequence}b`)).not.toMatch(OBEYED);
  });

  it('passes on nothing that a terminal obeys but our own styles, whatever went in', () => {
    fc.assert(
      fc.property(anyText, anyText, (foreign, text) => {
        const bare = escapeObeyed(foreign).replaceAll('\r\n', '\n');
        expect(bare).not.toMatch(OBEYED);
        const styled = terminalText(`${styleText('red', escapeObeyed(foreign), { validateStream: false })}${text}`);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: styles begin with an escape.
        expect(styled.replace(/\u001b\[\d{1,2}m/g, '').replaceAll('\r\n', '\n')).not.toMatch(OBEYED);
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps styles, line ends, tabs and joined signs', () => {
    const text = `${styleText(['bold', 'yellow'], 'a', { validateStream: false })}\tb\r\n👩‍💻 می‌خواهم\n`;
    expect(terminalText(text)).toBe(text);
  });

  it('escapes every text of a value, its keys too, to one line each', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        const texts: string[] = [];
        JSON.stringify(escapedTexts(value), (key, each) => {
          texts.push(key, ...(typeof each === 'string' ? [each] : []));
          return each;
        });
        expect(texts.every(isPlain)).toBe(true);
      }),
    );
  });

  it('escapes what is written to a guarded stream, and leaves bytes and a line editor alone', () => {
    const written: string[] = [];
    const stream = {
      write: (chunk: string | Uint8Array) =>
        written.push(typeof chunk === 'string' ? chunk : new TextDecoder().decode(chunk)) > 0,
    } as unknown as NodeJS.WriteStream;
    guardTerminal(stream);
    stream.write('a\u001b[2Jb');
    stream.write(Buffer.from('\u001b[2J'));
    ownControls(stream).write('\u001b[1G');
    expect(written).toEqual(['a\\u001b[2Jb', '\u001b[2J', '\u001b[1G']);
  });
});
