import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A Llama of half a megabyte: enough of everything that engines which read such folders ask for. */
const HIDDEN = 64;
const LAYERS = 2;
const HEADS = 4;
const KV_HEADS = 2;
const HEAD = 32;
const MLP = 128;
const CONTEXT = 2_048;
const SPECIAL = ['<unk>', '<s>', '</s>', '<|user|>', '<|assistant|>', '<|system|>', '<|tool|>'];
const VOCABULARY = 320;

const TURNS = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}";
const ANSWER = '{% if add_generation_prompt %}<|assistant|>{% endif %}';
/** As Qwen's and Hermes's do: the tools stand in the prompt, and calls come between marks. */
const TOOLS =
  '{% if tools %}<|system|>{% for tool in tools %}{{ tool | tojson }}{% endfor %} <tool_call>{"name": tool_call.name}</tool_call></s>{% endif %}';

/** Writes a model with random weights as Hugging Face lays it out: config, byte-level tokenizer with a chat template, safetensors. */
export const writeHuggingFaceModel = (folder: string, { withTools = false }: { withTools?: boolean } = {}): string => {
  mkdirSync(folder, { recursive: true });
  const put = (name: string, content: object) => writeFileSync(join(folder, name), JSON.stringify(content));
  const special = { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>', pad_token: '</s>' };
  put('config.json', {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    ...{ hidden_size: HIDDEN, intermediate_size: MLP, num_hidden_layers: LAYERS, vocab_size: VOCABULARY },
    ...{ num_attention_heads: HEADS, num_key_value_heads: KV_HEADS, head_dim: HEAD, max_position_embeddings: CONTEXT },
    ...{ rms_norm_eps: 1e-5, rope_theta: 10_000, hidden_act: 'silu', bos_token_id: 1, eos_token_id: 2 },
    ...{ tie_word_embeddings: false, attention_bias: false, mlp_bias: false, torch_dtype: 'float32' },
  });
  put('generation_config.json', { bos_token_id: 1, eos_token_id: 2 });
  put('special_tokens_map.json', special);
  put('tokenizer_config.json', {
    ...{ tokenizer_class: 'PreTrainedTokenizerFast', model_max_length: CONTEXT, ...special },
    chat_template: `${withTools ? TOOLS : ''}${TURNS}${ANSWER}`,
  });
  put('tokenizer.json', tokenizer());
  writeFileSync(join(folder, 'model.safetensors'), safetensors(weights()));
  return folder;
};

/** One token for each byte, by the letters that GPT-2 gave to bytes which are no letters. */
const tokenizer = () => {
  const words = [...SPECIAL, ...byteLetters()];
  const added = SPECIAL.map((content, id) => ({
    ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  }));
  return {
    ...{ version: '1.0', truncation: null, padding: null, added_tokens: added, normalizer: null, post_processor: null },
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      ...{ type: 'BPE', dropout: null, unk_token: '<unk>', continuing_subword_prefix: null, end_of_word_suffix: null },
      ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false, merges: [] },
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
    },
  };
};

const byteLetters = (): string[] => {
  const isLetter = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isLetter(byte) ? byte : next++));
};

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

const weights = (): Tensor[] => {
  const random = uniform(7);
  const drawn = (name: string, ...shape: [number, number]): Tensor => ({
    ...{ name, shape },
    values: Float32Array.from({ length: shape[0] * shape[1] }, () => (random() - 0.5) * 0.2),
  });
  // The first number of every token's vector is one, and only plain letters are likely where it is: answers end by their limit, not by
  // chance, and every token is text at once, while bytes of longer characters would be held back.
  const embedding = drawn('model.embed_tokens.weight', VOCABULARY, HIDDEN);
  const head = drawn('lm_head.weight', VOCABULARY, HIDDEN);
  for (let token = 0; token < VOCABULARY; token += 1) {
    embedding.values[token * HIDDEN] = 1;
    const byte = token - SPECIAL.length;
    if (byte < 32 || byte > 126) head.values[token * HIDDEN] = -8;
  }
  const ones = (name: string): Tensor => ({ name, shape: [HIDDEN], values: new Float32Array(HIDDEN).fill(1) });
  const layer = (index: number): Tensor[] => {
    const of = (part: string) => `model.layers.${index}.${part}.weight`;
    return [
      drawn(of('self_attn.q_proj'), HEADS * HEAD, HIDDEN),
      drawn(of('self_attn.k_proj'), KV_HEADS * HEAD, HIDDEN),
      drawn(of('self_attn.v_proj'), KV_HEADS * HEAD, HIDDEN),
      drawn(of('self_attn.o_proj'), HIDDEN, HEADS * HEAD),
      drawn(of('mlp.gate_proj'), MLP, HIDDEN),
      drawn(of('mlp.up_proj'), MLP, HIDDEN),
      drawn(of('mlp.down_proj'), HIDDEN, MLP),
      ones(of('input_layernorm')),
      ones(of('post_attention_layernorm')),
    ];
  };
  return [embedding, ...Array.from({ length: LAYERS }, (_, index) => layer(index)).flat(), ones('model.norm.weight'), head];
};

/** The same numbers each time. */
const uniform = (seed: number) => {
  let state = seed;
  return (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

/** Eight bytes of header length, a JSON header padded to eight, then the numbers (huggingface/safetensors, README). */
const safetensors = (tensors: readonly Tensor[]): Buffer => {
  let end = 0;
  const entries = tensors.map(({ name, shape, values }) => {
    const start = end;
    end += values.byteLength;
    return [name, { dtype: 'F32', shape, data_offsets: [start, end] }];
  });
  const text = JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) });
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, ...tensors.map(({ values }) => Buffer.from(values.buffer))]);
};
