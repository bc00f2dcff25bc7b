import type { CountTokensRequest } from '@lai/shared/anthropic';

/** English text and code, most tokenizers; only the model's own tokenizer, on some node, would know. */
const CHARACTERS_PER_TOKEN = 3.6;
/** What an image costs, about; its base64 says nothing of it. */
const IMAGE_TOKENS = 1_000;
const MESSAGE_TOKENS = 4;

/** About how many tokens a request's prompt has. A little too many rather than too few: clients use it to stay below a limit. */
export const estimatedTokens = ({ messages, system, tools }: CountTokensRequest): number => {
  const { characters, images } = [system, tools, ...messages.map(({ content }) => content)].map(sizeOf).reduce(added, NOTHING);
  return Math.ceil(characters / CHARACTERS_PER_TOKEN) + images * IMAGE_TOKENS + messages.length * MESSAGE_TOKENS;
};

interface Size {
  readonly characters: number;
  readonly images: number;
}

const NOTHING: Size = { characters: 0, images: 0 };
const added = (a: Size, b: Size): Size => ({ characters: a.characters + b.characters, images: a.images + b.images });

const sizeOf = (value: unknown): Size => {
  if (typeof value === 'string') return { characters: value.length, images: 0 };
  if (Array.isArray(value)) return value.map(sizeOf).reduce(added, NOTHING);
  if (typeof value !== 'object' || value === null) return NOTHING;
  if (Reflect.get(value, 'type') === 'image') return { characters: 0, images: 1 };
  return Object.entries(value)
    .filter(([key]) => key !== 'cache_control' && key !== 'type')
    .map(([key, inner]) => added({ characters: key.length, images: 0 }, sizeOf(inner)))
    .reduce(added, NOTHING);
};
