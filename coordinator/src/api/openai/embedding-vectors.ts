/** A vector in base64 is its float32 values, little-endian. */
export const toBase64 = (vector: readonly number[]): string => Buffer.from(Float32Array.from(vector).buffer).toString('base64');

export const fromBase64 = (text: string): number[] => {
  const bytes = Buffer.from(text, 'base64');
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, index) => bytes.readFloatLE(index * 4));
};

/**
 * A runtime's list of embeddings in the encoding that was asked for. One that is so already stays untouched, byte for byte; the key
 * cannot be inside of a string there, since a quote in a string is escaped.
 */
export const inEncoding = (bytes: Buffer, encoding: 'float' | 'base64'): unknown => {
  const text = bytes.subarray(0, 4_096).toString('latin1');
  const has = /"embedding"\s*:\s*(["[])/.exec(text)?.[1] === '"' ? 'base64' : 'float';
  if (has === encoding) return bytes;
  const list = JSON.parse(bytes.toString()) as { data?: { embedding: number[] | string }[] };
  for (const entry of list.data ?? []) {
    if (encoding === 'base64' && Array.isArray(entry.embedding)) entry.embedding = toBase64(entry.embedding);
    else if (encoding === 'float' && typeof entry.embedding === 'string') entry.embedding = fromBase64(entry.embedding);
  }
  return list;
};
