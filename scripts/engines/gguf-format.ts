/** The primitives of a GGUF v3 file: little-endian numbers, length-prefixed UTF-8, typed key-value pairs, tensor entries. */

/** Tensor data (and the end of the header) starts at multiples of this; the format's default. */
export const alignment = 32;
export const padding = (bytes: number) => (alignment - (bytes % alignment)) % alignment;

/** Value types, numbered by the format. */
const types = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}
function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([uint64(bytes.length), bytes]);
}

const scalar = (key: string, type: number, value: Buffer) => Buffer.concat([text(key), uint32(type), value]);
const array = (key: string, type: number, items: readonly Buffer[]) =>
  Buffer.concat([text(key), uint32(types.array), uint32(type), uint64(items.length), ...items]);

export const metadata = {
  uint: (key: string, value: number) => scalar(key, types.uint32, uint32(value)),
  float: (key: string, value: number) => scalar(key, types.float32, float32(value)),
  flag: (key: string, value: boolean) => scalar(key, types.bool, Buffer.from([value ? 1 : 0])),
  text: (key: string, value: string) => scalar(key, types.string, text(value)),
  texts: (key: string, values: readonly string[]) => array(key, types.string, values.map(text)),
  floats: (key: string, values: readonly number[]) => array(key, types.float32, values.map(float32)),
  ints: (key: string, values: readonly number[]) => array(key, types.int32, values.map(int32)),
};

/** One entry of the tensor table, always F32 (type 0); `offset` counts from the start of the tensor data. */
export const tensorInfo = (name: string, dims: readonly number[], offset: number) =>
  Buffer.concat([text(name), uint32(dims.length), ...dims.map(uint64), uint32(0), uint64(offset)]);
