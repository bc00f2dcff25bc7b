import { MessagesRequest } from '@lai/shared/anthropic';
import { OllamaChatRequest, OllamaEmbeddingsRequest, OllamaEmbedRequest, OllamaGenerateRequest } from '@lai/shared/ollama';
import { ChatCompletionRequest, CompletionRequest, EmbeddingRequest } from '@lai/shared/openai';
import { ResponseRequest } from '@lai/shared/responses';
import { z } from 'zod';
import { MESSAGES_FIELDS } from './anthropic/fields.ts';
import { OLLAMA_CHAT_FIELDS, OLLAMA_EMBED_FIELDS, OLLAMA_EMBEDDINGS_FIELDS, OLLAMA_GENERATE_FIELDS } from './ollama/fields.ts';
import type { FieldTable } from './openai/field-table.ts';
import { CHAT_FIELDS, COMPLETION_FIELDS, EMBEDDING_FIELDS, RESPONSE_FIELDS } from './openai/fields.ts';

/** Every request that clients of the three APIs send for an answer, with what becomes of its fields. */
export const FIELD_TABLES: readonly { readonly route: string; readonly schema: z.ZodType; readonly table: FieldTable }[] = [
  { route: 'POST /v1/chat/completions', schema: ChatCompletionRequest, table: CHAT_FIELDS },
  { route: 'POST /v1/completions', schema: CompletionRequest, table: COMPLETION_FIELDS },
  { route: 'POST /v1/embeddings', schema: EmbeddingRequest, table: EMBEDDING_FIELDS },
  { route: 'POST /v1/responses', schema: ResponseRequest, table: RESPONSE_FIELDS },
  { route: 'POST /v1/messages', schema: MessagesRequest, table: MESSAGES_FIELDS },
  { route: 'POST /api/chat', schema: OllamaChatRequest, table: OLLAMA_CHAT_FIELDS },
  { route: 'POST /api/generate', schema: OllamaGenerateRequest, table: OLLAMA_GENERATE_FIELDS },
  { route: 'POST /api/embed', schema: OllamaEmbedRequest, table: OLLAMA_EMBED_FIELDS },
  { route: 'POST /api/embeddings', schema: OllamaEmbeddingsRequest, table: OLLAMA_EMBEDDINGS_FIELDS },
];

/** The paths of a schema's fields; those of an object whose fields the table looks into, too. */
export const fieldPaths = (schema: z.ZodType, { rows }: FieldTable): string[] => {
  const fields = propertiesIn(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }));
  return Object.entries(fields).flatMap(([name, field]) =>
    rows[name]?.kind === 'inside' ? [name, ...Object.keys(propertiesIn(field)).map((inner) => `${name}.${inner}`)] : [name],
  );
};

/** Of an object, also of one that may be null. */
const propertiesIn = (schema: unknown): Record<string, unknown> => {
  if (typeof schema !== 'object' || schema === null) return {};
  const { properties, anyOf } = schema as { properties?: Record<string, unknown>; anyOf?: unknown[] };
  return properties ?? Object.assign({}, ...(anyOf ?? []).map(propertiesIn));
};
