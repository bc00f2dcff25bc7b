/**
 * Writes small language models that no one trained: a llama-architecture GGUF v3 file with random weights and a vocabulary of
 * our own. Real engines load it like any other model, so adapters can be tested against them without a download; what it
 * says is nonsense. The same options always give the same bytes. Large ones (for slow cold loads) are streamed to disk.
 *
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (little endian; tensors aligned to 32 bytes).
 *
 *   node scripts/engines/gguf.ts model.gguf [--embed] [--dim 64] [--layers 2] [--heads 4] [--kv-heads 2]
 *                                           [--feed-forward 128] [--context 2048] [--seed 1] [--name tiny]
 */
import { closeSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv, exit, pid } from 'node:process';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { alignment, metadata, padding, tensorInfo } from './gguf-format.ts';
import { vocabulary } from './gguf-vocabulary.ts';

export interface ModelShape {
  dim: number;
  layers: number;
  heads: number;
  kvHeads: number;
  feedForward: number;
  context: number;
  seed: number;
  /** Adds mean pooling: engines then offer embeddings for it. */
  embed: boolean;
  name: string;
}

export const tinyShape: ModelShape = {
  dim: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  feedForward: 128,
  context: 2048,
  seed: 1,
  embed: false,
  name: 'tiny',
};

interface Tensor {
  name: string;
  /** Fastest-moving dimension first, as GGUF has it. */
  dims: readonly number[];
  /** Half-width of the uniform distribution; 'ones' for the norms, which must not scale anything. */
  spread: number | 'ones';
  /** The first elements to leave at zero. */
  zeros?: number;
}

const elements = (tensor: Tensor) => tensor.dims.reduce((product, size) => product * size, 1);

function tensorsOf(shape: ModelShape): Tensor[] {
  const { dim, feedForward } = shape;
  const kvDim = (dim / shape.heads) * shape.kvHeads;
  const spread = 1 / Math.sqrt(dim);
  const words = vocabulary.tokens.length;
  const block = (layer: number): Tensor[] =>
    [
      { name: 'attn_norm', dims: [dim], spread: 'ones' as const },
      { name: 'attn_q', dims: [dim, dim], spread },
      { name: 'attn_k', dims: [dim, kvDim], spread },
      { name: 'attn_v', dims: [dim, kvDim], spread },
      { name: 'attn_output', dims: [dim, dim], spread },
      { name: 'ffn_norm', dims: [dim], spread: 'ones' as const },
      { name: 'ffn_gate', dims: [dim, feedForward], spread },
      { name: 'ffn_up', dims: [dim, feedForward], spread },
      { name: 'ffn_down', dims: [feedForward, dim], spread: 1 / Math.sqrt(feedForward) },
    ].map((tensor) => ({ ...tensor, name: `blk.${layer}.${tensor.name}.weight` }));
  return [
    { name: 'token_embd.weight', dims: [dim, words], spread: 0.5 },
    ...Array.from({ length: shape.layers }, (_, layer) => block(layer)).flat(),
    { name: 'output_norm.weight', dims: [dim], spread: 'ones' },
    // Control and byte tokens have zero rows, so words (of far larger scores) win: the model never ends by itself and
    // never emits half a character; max_tokens decides the length.
    { name: 'output.weight', dims: [dim, words], spread: 2, zeros: vocabulary.firstWord * dim },
  ];
}

function headerOf(shape: ModelShape, tensors: readonly Tensor[]): Buffer {
  const { tokens, scores, types } = vocabulary;
  const entries = [
    metadata.text('general.architecture', 'llama'),
    metadata.text('general.name', shape.name),
    metadata.uint('general.file_type', 0), // all F32
    metadata.uint('llama.context_length', shape.context),
    metadata.uint('llama.embedding_length', shape.dim),
    metadata.uint('llama.block_count', shape.layers),
    metadata.uint('llama.feed_forward_length', shape.feedForward),
    metadata.uint('llama.attention.head_count', shape.heads),
    metadata.uint('llama.attention.head_count_kv', shape.kvHeads),
    metadata.float('llama.attention.layer_norm_rms_epsilon', 1e-5),
    metadata.uint('llama.rope.dimension_count', shape.dim / shape.heads),
    metadata.uint('llama.vocab_size', tokens.length),
    ...(shape.embed ? [metadata.uint('llama.pooling_type', 1)] : []), // 1 = mean
    metadata.text('tokenizer.ggml.model', 'llama'),
    metadata.texts('tokenizer.ggml.tokens', tokens),
    metadata.floats('tokenizer.ggml.scores', scores),
    metadata.ints('tokenizer.ggml.token_type', types),
    metadata.uint('tokenizer.ggml.unknown_token_id', 0),
    metadata.uint('tokenizer.ggml.bos_token_id', 1),
    metadata.uint('tokenizer.ggml.eos_token_id', 2),
    metadata.flag('tokenizer.ggml.add_bos_token', true),
    metadata.text(
      'tokenizer.chat_template',
      '{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}',
    ),
  ];
  let offset = 0;
  const infos = tensors.map((tensor) => {
    const info = tensorInfo(tensor.name, tensor.dims, offset);
    const bytes = elements(tensor) * 4;
    offset += bytes + padding(bytes);
    return info;
  });
  const head = Buffer.alloc(24);
  head.write('GGUF', 'latin1');
  head.writeUInt32LE(3, 4);
  head.writeBigUInt64LE(BigInt(tensors.length), 8);
  head.writeBigUInt64LE(BigInt(entries.length), 16);
  const header = Buffer.concat([head, ...entries, ...infos]);
  return Buffer.concat([header, Buffer.alloc(padding(header.length))]);
}

/** Length of the noise: a prime, so that the rows of a large tensor never line up with a repetition of it. */
const noiseLength = 1_048_573;

/** Uniform numbers in [-1, 1) from a 32-bit xorshift (Marsaglia 2003, triple 13-17-5). */
function noiseOf(seed: number): Float32Array {
  const noise = new Float32Array(noiseLength);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < noiseLength; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    noise[i] = (state >>> 0) / 2 ** 31 - 1;
  }
  return noise;
}

const chunkElements = 1 << 20;

function writeTensor(file: number, tensor: Tensor, noise: Float32Array, start: number): void {
  const total = elements(tensor);
  for (let done = 0; done < total; done += chunkElements) {
    const chunk = new Float32Array(Math.min(chunkElements, total - done));
    if (tensor.spread === 'ones') chunk.fill(1);
    else {
      for (let i = 0; i < chunk.length; i++) {
        chunk[i] = done + i < (tensor.zeros ?? 0) ? 0 : (noise[(start + done + i) % noiseLength] ?? 0) * tensor.spread;
      }
    }
    writeSync(file, new Uint8Array(chunk.buffer));
  }
  writeSync(file, Buffer.alloc(padding(total * 4)));
}

/** Writes the model and returns its size. The file appears under its name only when it is complete. */
export function writeModel(
  path: string,
  options: Partial<ModelShape> = {},
): { path: string; parameters: number; sizeBytes: number } {
  const shape = { ...tinyShape, ...options };
  if (shape.dim % shape.heads !== 0) throw new Error(`dim ${shape.dim} is not a multiple of heads ${shape.heads}`);
  if (shape.heads % shape.kvHeads !== 0) throw new Error(`heads ${shape.heads} is not a multiple of kv-heads ${shape.kvHeads}`);
  const tensors = tensorsOf(shape);
  const header = headerOf(shape, tensors);
  const noise = noiseOf(shape.seed);
  const partial = `${path}.${pid}.partial`;
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(partial, 'w');
  let sizeBytes = header.length;
  try {
    writeSync(file, header);
    tensors.forEach((tensor, index) => {
      // Each tensor starts elsewhere in the noise; 7919 is a prime far from any row length.
      writeTensor(file, tensor, noise, (index * 7919) % noiseLength);
      sizeBytes += elements(tensor) * 4 + padding(elements(tensor) * 4);
    });
  } finally {
    closeSync(file);
  }
  renameSync(partial, path);
  return { path, parameters: tensors.reduce((sum, tensor) => sum + elements(tensor), 0), sizeBytes };
}

/** The two models every engine test uses: half a megabyte each, written in milliseconds, so they are always written anew. */
export function ensureTinyModels(dir: string): { chat: string; embed: string } {
  return {
    chat: writeModel(join(dir, 'tiny-chat.gguf'), { name: 'tiny-chat' }).path,
    embed: writeModel(join(dir, 'tiny-embed.gguf'), { name: 'tiny-embed', embed: true, seed: 2 }).path,
  };
}

/** A chat model that is slow enough to be interrupted: some hundred tokens a second on one core; 39 MB, written in a second. */
export function ensureSteadyModel(dir: string): string {
  return writeModel(join(dir, 'steady.gguf'), { name: 'steady', dim: 384, layers: 6, heads: 6, kvHeads: 3, feedForward: 1024 })
    .path;
}

function main(): void {
  const count = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      dim: count,
      layers: count,
      heads: count,
      'kv-heads': count,
      'feed-forward': count,
      context: count,
      seed: count,
      name: { type: 'string' },
      embed: { type: 'boolean' },
    },
  });
  const path = positionals[0];
  if (path === undefined) {
    console.error(
      'usage: node scripts/engines/gguf.ts <file.gguf> [--embed] [--dim N] [--layers N] [--heads N] [--kv-heads N] …',
    );
    exit(2);
  }
  const number = (text: string | undefined, standard: number) => (text === undefined ? standard : Number.parseInt(text, 10));
  const written = writeModel(path, {
    dim: number(values.dim, tinyShape.dim),
    layers: number(values.layers, tinyShape.layers),
    heads: number(values.heads, tinyShape.heads),
    kvHeads: number(values['kv-heads'], tinyShape.kvHeads),
    feedForward: number(values['feed-forward'], tinyShape.feedForward),
    context: number(values.context, tinyShape.context),
    seed: number(values.seed, tinyShape.seed),
    name: values.name ?? tinyShape.name,
    embed: values.embed ?? false,
  });
  console.log(`${written.path}: ${written.parameters} parameters, ${written.sizeBytes} bytes (aligned to ${alignment})`);
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) main();
