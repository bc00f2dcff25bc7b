import type { AnthropicModelList } from '@lai/shared/anthropic';
import type { ModelEntry } from '@lai/shared/openai';

/** The list of models for whoever sends `anthropic-version`. Whole: a house has no second page. */
export const anthropicModels = (models: readonly ModelEntry[]): AnthropicModelList => ({
  data: models.map(anthropicModel),
  has_more: false,
  first_id: models[0]?.id ?? null,
  last_id: models.at(-1)?.id ?? null,
});

export const anthropicModel = ({ id, name, created, context_length }: ModelEntry) => ({
  type: 'model' as const,
  id,
  display_name: name,
  created_at: new Date(created * 1_000).toISOString(),
  max_input_tokens: context_length,
  max_tokens: context_length,
  capabilities: null,
});
