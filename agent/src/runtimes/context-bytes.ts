/** Numbers that a context keeps of each token, over all layers. */
export interface KvShape {
  readonly keys: number;
  readonly values: number;
}

/**
 * Their context grows otherwise than with every token of every layer: windows that slide, states that stay as large as they are, keys
 * and values that are stored compressed or once for several layers.
 */
const TAKES_LESS = /^(?:attention\.(?:sliding_window|chunk_size|kv_lora_rank|shared_kv_layers)|ssm|wkv|shortconv)(?:[._]|$)/;
/** Its windows are written in llama.cpp and not in its files. */
const WITH_WINDOWS = 'llama4';

/**
 * From a model's own description of itself: the header of a GGUF file, or Ollama's `model_info`, which has the same names. Null when that
 * does not tell, and for models whose context takes less than this would count: nobody may be refused for what it does not need.
 */
export const kvShape = (info: ReadonlyMap<string, unknown>): KvShape | null => {
  const architecture = info.get('general.architecture');
  const prefix = `${architecture}.`;
  const own = new Map(
    [...info].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => [key.slice(prefix.length), value]),
  );
  if (architecture === WITH_WINDOWS || [...own].some(([name, value]) => TAKES_LESS.test(name) && value !== 0)) return null;
  const number = (name: string, otherwise: number | null = null): number | null => {
    const value = own.has(name) ? own.get(name) : otherwise;
    return typeof value === 'number' && value > 0 ? value : null;
  };
  const layers = number('block_count');
  const heads = number('attention.head_count');
  const width = number('embedding_length');
  const headWidth = width === null || heads === null ? null : width / heads;
  const keyWidth = number('attention.key_length', headWidth);
  const valueWidth = number('attention.value_length', headWidth);
  const perLayer = own.get('attention.head_count_kv');
  const kvHeads = Array.isArray(perLayer) ? sumOf(perLayer) : product(number('attention.head_count_kv', heads), layers);
  const keys = product(kvHeads, keyWidth);
  const values = product(kvHeads, valueWidth);
  return keys === null || values === null ? null : { keys, values };
};

const product = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a * b);
const sumOf = (values: readonly unknown[]): number | null =>
  values.length === 0 ? null : values.reduce<number>((sum, value) => sum + Number(value), 0);

/** Bytes of one number, by llama.cpp's names for how it stores them: blocks of 32 with what scales them. */
const BYTES: Readonly<Record<string, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  q8_0: 34 / 32,
  q5_1: 24 / 32,
  q5_0: 22 / 32,
  q4_1: 20 / 32,
  q4_0: 18 / 32,
  iq4_nl: 18 / 32,
};

/** Bytes of a context of so many tokens. Null for a storage type that we do not know. */
export const contextBytes = (
  { keys, values }: KvShape,
  { tokens, keyType = 'f16', valueType = 'f16' }: { tokens: number; keyType?: string; valueType?: string },
): number | null => {
  const [keyBytes, valueBytes] = [BYTES[keyType], BYTES[valueType]];
  if (keyBytes === undefined || valueBytes === undefined) return null;
  const bytes = Math.ceil(tokens * (keys * keyBytes + values * valueBytes));
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : null;
};
