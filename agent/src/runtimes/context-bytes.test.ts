import { describe, expect, it } from 'vitest';
import { contextBytes, kvShape } from './context-bytes.ts';

/** Llama 3.1 8B: 32 layers, 8 of 32 heads for keys and values, 128 wide. */
const LLAMA = {
  'general.architecture': 'llama',
  'llama.block_count': 32,
  'llama.embedding_length': 4_096,
  'llama.attention.head_count': 32,
  'llama.attention.head_count_kv': 8,
};
const bytesPerToken = (info: Record<string, unknown>) => {
  const shape = kvShape(new Map(Object.entries(info)));
  return shape && contextBytes(shape, { tokens: 1 });
};

describe('what a context takes', () => {
  it.each<[string, Record<string, unknown>, number | null]>([
    ['is 128 KiB a token for Llama 3.1 8B', LLAMA, 131_072],
    // Qwen3 4B: 36 layers, 8 heads, 128 wide, which is not its width by its heads.
    [
      'goes by the width of a head where that is stated',
      {
        'general.architecture': 'qwen3',
        'qwen3.block_count': 36,
        'qwen3.embedding_length': 2_560,
        'qwen3.attention.head_count': 32,
        'qwen3.attention.head_count_kv': 8,
        'qwen3.attention.key_length': 128,
        'qwen3.attention.value_length': 128,
      },
      147_456,
    ],
    ['is summed where layers differ', { ...LLAMA, 'llama.attention.head_count_kv': [0, 8, 0, 4] }, 12 * 256 * 2],
    ['is not known where the heads are kept back', { ...LLAMA, 'llama.attention.head_count_kv': null }, null],
    ['is not known where layers differ and are not told', { ...LLAMA, 'llama.attention.head_count_kv': [] }, null],
    ['is not known without layers', { ...LLAMA, 'llama.block_count': undefined }, null],
    ['is not known of a window that slides', { ...LLAMA, 'llama.attention.sliding_window': 4_096 }, null],
    ['is known where no window slides', { ...LLAMA, 'llama.attention.sliding_window': 0 }, 131_072],
    ['is not known of a state', { ...LLAMA, 'llama.ssm.state_size': 16 }, null],
    ['is not known of compressed keys', { ...LLAMA, 'llama.attention.kv_lora_rank': 512 }, null],
    ['is not known of nothing', {}, null],
  ])('%s', (_, info, bytes) => {
    expect(bytesPerToken(info)).toBe(bytes);
  });

  it('is that of all heads where the file does not say that some are shared', () => {
    const { 'llama.attention.head_count_kv': _, ...unshared } = LLAMA;
    expect(bytesPerToken(unshared)).toBe(4 * 131_072);
  });

  it('is less where it is stored in fewer bits', () => {
    const shape = { keys: 32_768, values: 32_768 };
    expect(contextBytes(shape, { tokens: 1_024, keyType: 'q8_0', valueType: 'q4_0' })).toBe(
      1_024 * 32_768 * (34 + 18) * (1 / 32),
    );
    expect(contextBytes(shape, { tokens: 1_024, keyType: 'new' })).toBeNull();
  });
});
