import { basename } from 'node:path';

/**
 * The parser that reads a model's tool calls out of its text, by family; names are vLLM's (`--tool-call-parser`). First match wins. Null for
 * families that we do not know: vLLM would then take the calls for text, so tools stay off.
 */
const PARSERS: readonly (readonly [RegExp, string])[] = [
  [/gpt-?oss/, 'openai'],
  [/qwen-?3-?coder/, 'qwen3_coder'],
  [/qwen-?(?:2\.5|3)|qwq|hermes/, 'hermes'],
  [/llama-?4/, 'llama4_pythonic'],
  [/llama-?3\.[123]/, 'llama3_json'],
  [/mistral|mixtral|ministral|devstral|magistral/, 'mistral'],
  [/deepseek-?v3\.1/, 'deepseek_v31'],
  [/deepseek-?(?:v3|r1-0528)/, 'deepseek_v3'],
  [/kimi-?k2/, 'kimi_k2'],
  [/glm-?4\.[56]/, 'glm45'],
  [/granite-?(?:3|4)/, 'granite'],
  [/phi-?4-?mini/, 'phi4_mini_json'],
  [/internlm-?(?:2\.5|3)/, 'internlm'],
  [/jamba/, 'jamba'],
  [/minimax-?m1/, 'minimax'],
];

export const toolParserOf = (model: string): string | null => {
  const name = basename(model).toLowerCase();
  return PARSERS.find(([family]) => family.test(name))?.[1] ?? null;
};
