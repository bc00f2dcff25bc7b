import fc from 'fast-check';

/** Streams of an engine that knows the grammar of events well, and JSON a little less: everything in them has been seen somewhere. */

const word = fc.oneof(
  fc.constantFrom(
    'a',
    ' ',
    'ü€😀',
    '\n\n',
    'NaN',
    'data: [DONE]\n\n',
    '{"error":1}',
    '"finish_reason":"abort"',
    '\u2028',
    '-Infinity,',
  ),
  fc.string({ maxLength: 8 }),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>, nothing: readonly unknown[] = [null]): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 3, arbitrary }, { weight: 1, arbitrary: fc.constantFrom(...nothing) });
const record = (fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(fields, { requiredKeys: [] });

const content = fc.oneof(
  word,
  fc.array(
    fc.oneof(
      word.map((text) => ({ type: 'text', text })),
      fc.constant(null),
    ),
    { maxLength: 2 },
  ),
);
/** What JSON does not know is written bare, behind a mark that a string never has. */
const BARE = '\u0001';
const figure = fc.constantFrom<unknown>(-0.5, 0, `${BARE}NaN`, `${BARE}-Infinity`, `${BARE}Infinity`, `${BARE}1.0`);
const logprobs = record({
  content: maybe(fc.array(record({ token: word, logprob: figure }), { maxLength: 2 })),
  refusal: fc.constant(null),
});

const finish = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('stop', 'length', 'tool_calls', 'content_filter', 'function_call') },
  { weight: 1, arbitrary: fc.constantFrom<unknown>('abort', 'error', 'STOP', 'eos', 7) },
);

interface DrawnCall {
  readonly args: string;
  /** Lengths of its pieces. */
  readonly lengths: readonly number[];
}

const drawnCall: fc.Arbitrary<DrawnCall> = fc.record({
  args: fc.oneof(
    fc.constantFrom('', '{}', '{"a":"x}"}', '{"s":"\\"{"}'),
    fc.dictionary(fc.constantFrom('a', 'b', '{'), word, { maxKeys: 3 }).map((args) => JSON.stringify(args)),
  ),
  lengths: fc.array(fc.nat(6), { maxLength: 4 }),
});

const cutUp = ({ args, lengths }: DrawnCall): string[] => {
  const pieces: string[] = [];
  let at = 0;
  for (const length of lengths) {
    pieces.push(args.slice(at, at + length));
    at += length;
  }
  return [...pieces, args.slice(at)];
};

/** Pieces of up to three calls in any order; each is known by its index (id and name in the first one only) or by its id alone. */
const calls = fc
  .record({
    drawn: fc.array(drawnCall, { minLength: 1, maxLength: 3 }),
    turns: fc.array(fc.nat(2), { maxLength: 12 }),
    isCounted: fc.boolean(),
  })
  .map(({ drawn, turns, isCounted }) => {
    const waiting = drawn.map(cutUp);
    const begun = new Set<number>();
    const order = [...turns, ...drawn.flatMap((_, index) => Array.from({ length: 6 }, () => index))];
    return order.flatMap((index) => {
      const args = waiting[index]?.shift();
      if (args === undefined) return [];
      const isFirst = !begun.has(index);
      begun.add(index);
      const id = `call_${index}`;
      return [
        {
          ...(isCounted ? { index } : { id }),
          ...(isFirst ? { id, type: 'function' } : {}),
          function: { ...(isFirst ? { name: `f${index}` } : {}), arguments: args },
        },
      ];
    });
  });

const delta = record({
  role: fc.constantFrom('assistant', null, ''),
  content: maybe(content),
  reasoning: maybe(word),
  reasoning_content: maybe(word),
  refusal: fc.constant(null),
});

const head = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm' };
const chunkOf = (choices: unknown, more: Record<string, unknown> = {}) => ({ ...head, ...more, choices });
const usage = fc.constantFrom<unknown>(
  null,
  { prompt_tokens: 3, completion_tokens: 2 },
  { prompt_tokens: -4, completion_tokens: `${BARE}1.5` },
  { prompt_tokens: 1, prompt_tokens_details: null },
);
const nothing = fc.constantFrom<Record<string, unknown>>({}, {}, { error: null }, { error: '' }, { error: {} });

const wordsChunk = fc
  .record({
    index: fc.constantFrom(0, 0, 0, 1),
    delta: maybe(delta),
    logprobs: maybe(logprobs),
    usage: maybe(usage),
    more: nothing,
  })
  .map(({ index, delta, logprobs, usage, more }) =>
    chunkOf([{ index, delta, logprobs, finish_reason: null }], { usage, ...more }),
  );

const oddEvents = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom<Part>(
      { lines: [': wait'] },
      { lines: ['data:'] },
      { lines: ['event: ping', 'data: {"type":"ping"}'] },
      { lines: ['data: null'] },
      { lines: ['id: 1', 'retry: 5'] },
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Part>(
      { json: { ...head, choices: null } },
      { json: { ...head, choices: [null] } },
      { json: { ...head, choices: [], usage: { prompt_tokens: 3, completion_tokens: 1 } } },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Part>(
      { lines: ['proxy error: gone'] },
      { json: { ...head, choices: [], error: { message: 'x' } } },
      { json: { error: 'x' } },
      { lines: ['event: error', 'data: gone'] },
      { lines: ['data: {"choices":['] },
      { lines: ['<html>'] },
    ),
  },
);

/** One event: JSON to be written as data, or lines as they are. */
type Part = { readonly json: unknown } | { readonly lines: readonly string[] };

const parts: fc.Arbitrary<Part[]> = fc
  .record({
    words: fc.array(
      fc.oneof({ weight: 4, arbitrary: wordsChunk.map((json): Part => ({ json })) }, { weight: 1, arbitrary: oddEvents }),
      { maxLength: 8 },
    ),
    between: fc.array(wordsChunk, { maxLength: 2 }),
    calls: fc.oneof(
      { weight: 2, arbitrary: fc.constant<unknown[]>([]) },
      { weight: 1, arbitrary: calls as fc.Arbitrary<unknown[]> },
    ),
    finish: maybe(finish, [null, '']),
    delta: fc.constantFrom<unknown>({}, null, { content: null }),
    tail: fc.array(oddEvents, { maxLength: 1 }),
  })
  .map(({ words, between, calls, finish, delta, tail }) => {
    const said = calls.flatMap((call, place): Part[] => [
      { json: chunkOf([{ index: 0, delta: { tool_calls: [call] } }]) },
      ...(place === 1 ? between.map((json): Part => ({ json })) : []),
    ]);
    const hasSecond = [...words, ...said].some(
      (part) => 'json' in part && JSON.stringify(part.json).includes('"index":1,"delta"'),
    );
    return [
      ...words,
      ...said,
      {
        json: chunkOf([
          { index: 0, delta, finish_reason: finish },
          ...(hasSecond ? [{ index: 1, delta, finish_reason: 'stop' }] : []),
        ]),
      },
      ...tail,
    ];
  });

const written = (json: unknown, isSpread: boolean): string =>
  JSON.stringify(json, null, isSpread ? 1 : 0).replaceAll(/"\\u0001([^"]*)"/g, '$1');

interface Manner {
  readonly lineEnd: string;
  readonly field: string;
  readonly isSpread: boolean;
  readonly above: readonly string[];
  readonly below: readonly string[];
}

const manner: fc.Arbitrary<Manner> = fc.record({
  lineEnd: fc.constantFrom('\n', '\n', '\r\n', '\r'),
  field: fc.constantFrom('data: ', 'data:'),
  isSpread: fc.boolean(),
  above: fc.constantFrom<string[]>([], [], [': hm'], ['event: message'], ['x-new: 1', 'id: 2']),
  below: fc.constantFrom<string[]>([], [], ['id: 3'], ['event:']),
});

const eventText = (part: Part, { lineEnd, field, isSpread, above, below }: Manner): string => {
  const lines =
    'lines' in part
      ? part.lines
      : [
          ...above,
          ...written(part.json, isSpread)
            .split('\n')
            .map((line) => field + line),
          ...below,
        ];
  return lines.map((line) => line + lineEnd).join('') + lineEnd;
};

/** A stream, and where it is cut into the pieces in which it arrives (in bytes). */
export interface DrawnStream {
  readonly text: string;
  readonly cuts: readonly number[];
}

export const drawnStream: fc.Arbitrary<DrawnStream> = fc
  .record({
    parts,
    manners: fc.array(manner, { minLength: 1, maxLength: 3 }),
    mark: fc.constantFrom('', '\uFEFF'),
    done: fc.constantFrom('data: [DONE]\n\n', 'data: [DONE]\n\n', 'data:[DONE]', 'event: done\rdata: [DONE]\r\r', ''),
    cuts: fc.array(fc.nat(3_000), { maxLength: 6 }),
  })
  .map(({ parts, manners, mark, done, cuts }) => ({
    text: mark + parts.map((part, index) => eventText(part, manners[index % manners.length] as Manner)).join('') + done,
    cuts,
  }));

export const piecesOf = ({ text, cuts }: DrawnStream): Buffer[] => {
  const bytes = Buffer.from(text);
  const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
};
