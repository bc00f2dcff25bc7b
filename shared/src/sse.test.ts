import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventSplitter, sseComment, sseData } from './sse.ts';

const split = (...pieces: string[]): string[] => {
  const splitter = new EventSplitter();
  return [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.finish()];
};

describe('splitting a stream of events', () => {
  it.each<[string, string, string[]]>([
    ['one event', 'data: a\n\n', ['a']],
    ['several events', 'data: a\n\ndata: b\n\n', ['a', 'b']],
    ['no space behind the colon', 'data:a\n\n', ['a']],
    ["a second space, which is the payload's own", 'data:  a\n\n', [' a']],
    ['no final empty line', 'data: a\n\ndata: [DONE]', ['a', '[DONE]']],
    ['one final line break', 'data: a\n\ndata: [DONE]\n', ['a', '[DONE]']],
    ['CRLF', 'data: a\r\n\r\ndata: b\r\n\r\n', ['a', 'b']],
    ['CRLF without a final empty line', 'data: a\r\n\r\ndata: b\r\n', ['a', 'b']],
    ['comments between events', ': wait 1/2\n\ndata: a\n\n: wait 2/2\n\n', ['a']],
    ['a comment right above its event', ': wait\ndata: a\n\n', ['a']],
    ['fields we have no use for', 'event: error\nid: 7\nretry: 100\ndata: a\n\n', ['a']],
    ['several data lines in one event', 'data: a\ndata: b\n\n', ['a\nb']],
    ['an empty payload', 'data:\n\n', ['']],
    ['more empty lines than needed', '\n\n\ndata: a\n\n\n\ndata: b\n\n', ['a', 'b']],
    ['nothing', '', []],
  ])('reads %s', (_, text, payloads) => {
    expect(split(text)).toEqual(payloads);
  });

  it('hands out an event as soon as it is complete, not before', () => {
    const splitter = new EventSplitter();
    expect(splitter.push('data: a\n')).toEqual([]);
    expect(splitter.push('\ndata: b')).toEqual(['a']);
    expect(splitter.push('c\n\n')).toEqual(['bc']);
    expect(splitter.finish()).toEqual([]);
  });

  it('hands out what is left only once', () => {
    const splitter = new EventSplitter();
    splitter.push('data: a');
    expect(splitter.finish()).toEqual(['a']);
    expect(splitter.finish()).toEqual([]);
  });

  const word = fc.stringMatching(/^[a-z{}[\]": ü€😀]{0,12}$/u);
  const block = fc.oneof(
    word.map((text) => ({ lines: [`data: ${text}`], payload: [text] })),
    fc.tuple(word, word).map(([a, b]) => ({ lines: [`data: ${a}`, `data: ${b}`], payload: [`${a}\n${b}`] })),
    word.map((text) => ({ lines: [`: ${text}`], payload: [] })),
    word.map((text) => ({ lines: [`event: ${text}`, `data: ${text}`], payload: [text] })),
  );
  const stream = fc.record({ blocks: fc.array(block), lineEnd: fc.constantFrom('\n', '\r\n'), isTerminated: fc.boolean() });

  it('gives the same events wherever the stream is cut', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(400)), ({ blocks, lineEnd, isTerminated }, cuts) => {
        const text =
          blocks.map(({ lines }) => lines.join(lineEnd)).join(lineEnd + lineEnd) + (isTerminated ? lineEnd + lineEnd : '');
        const places = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length];
        const pieces = places.slice(1).map((end, index) => text.slice(places[index], end));
        expect(split(...pieces)).toEqual(blocks.flatMap(({ payload }) => payload));
      }),
    );
  });

  it('reads back what we write', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), (payloads) => {
        const text = payloads.map((payload) => sseData({ payload }) + sseComment('alive\r\ndata: no')).join('');
        // As JSON, which knows no -0.
        expect(split(text)).toEqual(payloads.map((payload) => JSON.stringify({ payload })));
      }),
    );
  });
});

describe('writing events', () => {
  it('leaves text as it is and turns anything else into JSON', () => {
    expect(sseData('[DONE]')).toBe('data: [DONE]\n\n');
    expect(sseData({ a: 'x\ny' })).toBe('data: {"a":"x\\ny"}\n\n');
  });

  it('lets no line break out of a comment', () => {
    expect(sseComment('one\r\ndata: two\n\nthree')).toBe(': one data: two three\n\n');
  });
});
