import { CodedError } from '@lai/shared/errors';
import { readWhole } from '@lai/shared/whole-answer';
import { UnreadableAnswer } from './chunk-reader.ts';

/** A vector in base64 is its float32 values, little-endian. */
export const toBase64 = (vector: readonly number[]): string => Buffer.from(Float32Array.from(vector).buffer).toString('base64');

export const fromBase64 = (text: string): number[] => {
  const bytes = Buffer.from(text, 'base64');
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, index) => bytes.readFloatLE(index * 4));
};

export interface VectorWishes {
  readonly encoding: 'float' | 'base64';
  /** Null: as many as the model has. */
  readonly dimensions: number | null;
}

/**
 * A runtime's list of embeddings as it was asked for. One that is so already stays untouched, byte for byte; the key cannot be inside of
 * a string there, since a quote in a string is escaped. Throws UnreadableAnswer, and CodedError when the model has fewer dimensions.
 */
export const vectorsAs = (bytes: Buffer, { encoding, dimensions }: VectorWishes): unknown => {
  const first = /"embedding"\s*:\s*(["[])/.exec(bytes.subarray(0, 4_096).toString('latin1'))?.[1];
  const has = first === '"' ? 'base64' : first === '[' ? 'float' : null;
  if (has === encoding && dimensions === null) return bytes;
  const answer = readWhole('embeddings', bytes.toString());
  if (answer.kind !== 'answer') throw new UnreadableAnswer('the answer has no vectors');
  const list = JSON.parse(answer.text) as { data: { embedding: number[] | string }[] };
  for (const entry of list.data) {
    const vector = shortened(typeof entry.embedding === 'string' ? fromBase64(entry.embedding) : entry.embedding, dimensions);
    entry.embedding = encoding === 'base64' ? toBase64(vector) : vector;
  }
  return list;
};

/** Models that were trained for it (Matryoshka) keep most of the meaning in their first dimensions; the length is 1 again. */
const shortened = (vector: readonly number[], dimensions: number | null): number[] => {
  if (dimensions === null || vector.length === dimensions) return [...vector];
  if (vector.length < dimensions)
    throw new CodedError('invalid_value', {
      message: `dimensions: the model's vectors have ${vector.length}. Ask for as many or fewer.`,
      param: 'dimensions',
    });
  const kept = vector.slice(0, dimensions);
  const length = Math.hypot(...kept) || 1;
  return kept.map((value) => value / length);
};
