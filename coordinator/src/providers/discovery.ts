import { z } from 'zod';
import type { ProviderModel } from '../routing/fleet-facts.ts';

/** OpenAI's list; some servers send the bare array. */
const Entry = z.looseObject({
  id: z.string().min(1).max(512),
  context_length: z.number().int().positive().nullish().catch(null),
  max_model_len: z.number().int().positive().nullish().catch(null),
});
const MOST_MODELS = 5_000;

/**
 * Models of a provider's list. What they can do is not said there: chat and tools are assumed, embeddings by their name. An entry that
 * cannot be read is left out; a body that is no list has none.
 */
export const modelsIn = (body: string): readonly ProviderModel[] => {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return [];
  }
  const list = Array.isArray(value) ? value : typeof value === 'object' && value !== null ? Reflect.get(value, 'data') : null;
  if (!Array.isArray(list)) return [];
  return list.slice(0, MOST_MODELS).flatMap((entry) => {
    const parsed = Entry.safeParse(entry);
    if (!parsed.success) return [];
    const { id, context_length, max_model_len } = parsed.data;
    const capabilities = /embed/i.test(id) ? ['embedding'] : ['chat', 'tools'];
    const contextLength = context_length ?? max_model_len ?? null;
    return [{ id, capabilities, contextLength, inputPrice: null, outputPrice: null, isFree: false }];
  });
};
