import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readGgufFacts } from './gguf-header.ts';

const dir = mkdtempSync(join(tmpdir(), 'lai-gguf-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

// The format, as far as these files need it: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
const uint32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const uint64 = (value: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const text = (value: string) => Buffer.concat([uint64(Buffer.byteLength(value)), Buffer.from(value)]);
const entry = {
  text: (key: string, value: string) => Buffer.concat([text(key), uint32(8), text(value)]),
  number: (key: string, value: number) => Buffer.concat([text(key), uint32(4), uint32(value)]),
  long: (key: string, value: number) => Buffer.concat([text(key), uint32(10), uint64(value)]),
  flag: (key: string) => Buffer.concat([text(key), uint32(7), Buffer.of(1)]),
  texts: (key: string, values: readonly string[]) =>
    Buffer.concat([text(key), uint32(9), uint32(8), uint64(values.length), ...values.map(text)]),
  ints: (key: string, values: readonly number[]) =>
    Buffer.concat([text(key), uint32(9), uint32(5), uint64(values.length), ...values.map(uint32)]),
  floats: (key: string, count: number) =>
    Buffer.concat([text(key), uint32(9), uint32(6), uint64(count), Buffer.alloc(count * 4)]),
};

let files = 0;
const write = (entries: readonly Buffer[], { version = 3, magic = 'GGUF' } = {}) => {
  const file = join(dir, `${files++}.gguf`);
  writeFileSync(file, Buffer.concat([Buffer.from(magic), uint32(version), uint64(0), uint64(entries.length), ...entries]));
  return file;
};

const llama = [entry.text('general.architecture', 'llama'), entry.number('llama.context_length', 8_192)];

describe("a model file's header", () => {
  it('tells what kind of model it is and how much it takes in', async () => {
    expect(await readGgufFacts(write(llama))).toMatchObject({
      architecture: 'llama',
      contextLength: 8_192,
      poolingType: null,
      hasChatTemplate: false,
      canUseTools: false,
    });
  });

  it.each<[string, Buffer[], object]>([
    ['a chat model', [entry.text('tokenizer.chat_template', '{{ messages }}')], { hasChatTemplate: true, canUseTools: false }],
    ['one that knows tools', [entry.text('tokenizer.chat_template', '{% if tools %}')], { canUseTools: true }],
    [
      'one whose word for tools is part of another',
      [entry.text('tokenizer.chat_template', '{{ toolset }}')],
      { canUseTools: false },
    ],
    ['one for vectors', [entry.number('llama.pooling_type', 1)], { poolingType: 1 }],
    ['one that ranks', [entry.number('llama.pooling_type', 4)], { poolingType: 4 }],
    ['one without pooling', [entry.number('llama.pooling_type', 0)], { poolingType: null }],
    ['one with a long number', [entry.long('llama.context_length', 131_072)], { contextLength: 131_072 }],
  ])('knows %s', async (_, more, facts) => {
    expect(await readGgufFacts(write([...llama, ...more]))).toMatchObject(facts);
  });

  it.each(['bert', 'nomic-bert', 'jina-bert-v2', 'gemma-embedding'])(
    'knows that %s makes vectors, stated or not',
    async (name) => {
      expect(await readGgufFacts(write([entry.text('general.architecture', name)]))).toMatchObject({ poolingType: 1 });
    },
  );

  it('tells what a context is made of, also where layers differ', async () => {
    const shape = (heads: Buffer) => [
      ...llama,
      entry.number('llama.block_count', 4),
      entry.number('llama.embedding_length', 64),
      entry.number('llama.attention.head_count', 4),
      heads,
      entry.texts('llama.attention.names', ['of', 'nothing', 'we', 'want']),
      entry.number('llama.attention.value_length', 8),
    ];
    const kvShape = async (heads: Buffer) => (await readGgufFacts(write(shape(heads))))?.kvShape;
    expect(await kvShape(entry.number('llama.attention.head_count_kv', 2))).toEqual({ keys: 8 * 16, values: 8 * 8 });
    expect(await kvShape(entry.ints('llama.attention.head_count_kv', [2, 0, 4, 0]))).toEqual({ keys: 6 * 16, values: 6 * 8 });
    expect((await readGgufFacts(write(llama)))?.kvShape).toBeNull();
  });

  it('is read to its end, whatever stands in between', async () => {
    const between = [
      entry.texts('tokenizer.ggml.tokens', ['a', '', 'ö'.repeat(300_000), 'b']),
      entry.floats('tokenizer.ggml.scores', 400_000),
      entry.flag('tokenizer.ggml.add_bos_token'),
    ];
    const file = write([entry.text('general.architecture', 'llama'), ...between, entry.number('llama.context_length', 77)]);
    expect(await readGgufFacts(file)).toMatchObject({ contextLength: 77 });
  });

  it('of another format, another version, or cut off, tells nothing', async () => {
    expect(await readGgufFacts(write(llama, { magic: 'GGML' }))).toBeNull();
    for (const version of [0, 1, 0x03000000]) expect(await readGgufFacts(write(llama, { version }))).toBeNull();
    const file = write(llama);
    truncateSync(file, 40);
    expect(await readGgufFacts(file)).toBeNull();
    writeFileSync(file, '');
    expect(await readGgufFacts(file)).toBeNull();
  });

  it('of a newer version is not known, and that is no verdict', async () => {
    await expect(readGgufFacts(write(llama, { version: 4 }))).rejects.toThrow('version 4');
  });

  it.each([0, 2 ** 60])('with a context of %d tokens tells no context', async (tokens) => {
    const file = write([entry.text('general.architecture', 'llama'), entry.long('llama.context_length', tokens)]);
    expect(await readGgufFacts(file)).toMatchObject({ contextLength: null });
  });

  it('that lies about its lengths is given up, not believed', async () => {
    const huge = Buffer.concat([text('x'), uint32(8), uint64(2 ** 50)]);
    expect(await readGgufFacts(write([huge, ...llama]))).toBeNull();
    const endless = Buffer.concat([text('x'), uint32(9), uint32(8), uint64(2 ** 40)]);
    expect(await readGgufFacts(write([endless]))).toBeNull();
    const backwards = Buffer.concat([text('x'), uint32(8), Buffer.alloc(8, 0xff)]);
    expect(await readGgufFacts(write([backwards, ...llama]))).toBeNull();
    const nested = Buffer.concat([text('x'), uint32(9), uint32(9), uint64(2 ** 40)]);
    expect(await readGgufFacts(write([nested]))).toBeNull();
  });

  it('with a vocabulary of a quarter of a million words does not hold up anything else', async () => {
    const words = Array.from({ length: 250_000 }, (_, index) => `word${index}`);
    const file = write([entry.texts('tokenizer.ggml.tokens', words), ...llama]);
    let turns = 0;
    const others = setInterval(() => {
      turns += 1;
    }, 0);
    await readGgufFacts(file);
    clearInterval(others);
    expect(turns).toBeGreaterThan(5);
  });
});
