import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ensureTinyModels, writeModel } from './gguf.ts';
import { vocabulary } from './gguf-vocabulary.ts';

const dir = mkdtempSync(join(tmpdir(), 'lai-gguf-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Reads a GGUF file's header the way an engine does; throws where it is malformed. */
function readHeader(bytes: Buffer) {
  let at = 0;
  const take = (length: number) => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  const uint32 = () => take(4).readUInt32LE();
  const uint64 = () => Number(take(8).readBigUInt64LE());
  const text = () => take(uint64()).toString('utf8');
  const value = (type: number): unknown => {
    if (type === 4) return uint32();
    if (type === 5) return take(4).readInt32LE();
    if (type === 6) return take(4).readFloatLE();
    if (type === 7) return take(1)[0] === 1;
    if (type === 8) return text();
    if (type !== 9) throw new Error(`unknown value type ${type} at ${at}`);
    const itemType = uint32();
    return Array.from({ length: uint64() }, () => value(itemType));
  };
  const magic = take(4).toString('latin1');
  const version = uint32();
  const [tensorCount, entryCount] = [uint64(), uint64()];
  const entries = Object.fromEntries(Array.from({ length: entryCount }, () => [text(), value(uint32())]));
  const tensors = Array.from({ length: tensorCount }, () => ({
    name: text(),
    dims: Array.from({ length: uint32() }, uint64),
    type: uint32(),
    offset: uint64(),
  }));
  return { magic, version, entries, tensors, dataStart: Math.ceil(at / 32) * 32 };
}

describe('the GGUF writer', () => {
  const written = writeModel(join(dir, 'model.gguf'), { name: 'probe', layers: 3 });
  const bytes = readFileSync(written.path);
  const header = readHeader(bytes);

  it('starts with the magic and version 3', () => {
    expect([header.magic, header.version]).toEqual(['GGUF', 3]);
  });

  it('states the shape of a llama model with its vocabulary and chat template', () => {
    expect(header.entries).toMatchObject({
      'general.architecture': 'llama',
      'general.name': 'probe',
      'llama.block_count': 3,
      'llama.embedding_length': 64,
      'llama.rope.dimension_count': 16,
      'llama.vocab_size': vocabulary.tokens.length,
      'tokenizer.ggml.tokens': vocabulary.tokens,
      'tokenizer.chat_template': expect.stringContaining('message.content'),
    });
  });

  it('places every tensor at an aligned offset, in order, without gaps, up to the end of the file', () => {
    let expected = 0;
    for (const tensor of header.tensors) {
      expect(tensor).toMatchObject({ type: 0, offset: expected });
      expected += Math.ceil((tensor.dims.reduce((a, b) => a * b) * 4) / 32) * 32;
    }
    expect(header.tensors).toHaveLength(3 + 3 * 9);
    expect(bytes.length).toBe(header.dataStart + expected);
    expect(written.sizeBytes).toBe(bytes.length);
  });

  it('keeps the output rows of control and byte tokens at zero and no others', () => {
    const output = header.tensors.at(-1);
    const start = header.dataStart + (output?.offset ?? 0);
    const rowIsZero = (row: number) => bytes.subarray(start + row * 256, start + (row + 1) * 256).every((byte) => byte === 0);
    expect(output?.name).toBe('output.weight');
    expect(rowIsZero(0) && rowIsZero(vocabulary.firstWord - 1)).toBe(true);
    expect(rowIsZero(vocabulary.firstWord)).toBe(false);
  });

  it('writes the same bytes for the same seed and others for another', () => {
    const again = readFileSync(writeModel(join(dir, 'again.gguf'), { name: 'probe', layers: 3 }).path);
    const other = readFileSync(writeModel(join(dir, 'other.gguf'), { name: 'probe', layers: 3, seed: 9 }).path);
    expect(again.equals(bytes)).toBe(true);
    expect(other.equals(bytes)).toBe(false);
  });

  it('offers embeddings only in the embedding variant', () => {
    const models = ensureTinyModels(join(dir, 'models'));
    expect(readHeader(readFileSync(models.embed)).entries).toHaveProperty(['llama.pooling_type'], 1);
    expect(readHeader(readFileSync(models.chat)).entries).not.toHaveProperty(['llama.pooling_type']);
  });

  it('leaves no partial file behind', () => {
    expect(readdirSync(dir).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('refuses a shape that no engine could load', () => {
    expect(() => writeModel(join(dir, 'bad.gguf'), { heads: 5 })).toThrow('not a multiple of heads');
    expect(() => writeModel(join(dir, 'bad.gguf'), { kvHeads: 3 })).toThrow('not a multiple of kv-heads');
  });
});

describe('the vocabulary', () => {
  it('has no token twice and can spell any byte', () => {
    expect(new Set(vocabulary.tokens).size).toBe(vocabulary.tokens.length);
    expect(vocabulary.tokens.filter((token) => /^<0x[0-9A-F]{2}>$/.test(token))).toHaveLength(256);
  });
});
