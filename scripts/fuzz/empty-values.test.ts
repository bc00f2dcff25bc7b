import { describe, expect, it } from 'vitest';
import { FIELD_TABLES, fieldPaths } from '../../coordinator/src/api/field-tables.ts';
import { CodedError } from '../../shared/src/errors.ts';
import { SURFACES } from './surfaces.ts';

const messages = [{ role: 'user', content: 'Hi.' }];
/** The surface of each route, and a request that it takes. */
const ROUTES: Readonly<Record<string, readonly [string, Record<string, unknown>]>> = {
  'POST /v1/chat/completions': ['chat', { model: 'm', messages }],
  'POST /v1/completions': ['completions', { model: 'm', prompt: 'Hi.' }],
  'POST /v1/embeddings': ['embeddings', { model: 'm', input: 'Hi.' }],
  'POST /v1/responses': ['responses', { model: 'm', input: 'Hi.' }],
  'POST /v1/messages': ['messages', { model: 'm', messages, max_tokens: 5 }],
  'POST /api/chat': ['ollamaChat', { model: 'm', messages }],
  'POST /api/generate': ['ollamaGenerate', { model: 'm', prompt: 'Hi.' }],
};
const EMPTY = [null, '', 0, [], {}];

/** The body that an engine would get, or the field that the refusal names. */
const outcome = (surface: string, body: unknown): string => {
  try {
    return Buffer.from(SURFACES[surface]?.(Buffer.from(JSON.stringify(body))).bodyFor('m') ?? []).toString();
  } catch (error) {
    if (error instanceof CodedError && error.code === 'invalid_value') return `refused: ${error.param}`;
    throw error;
  }
};

const cases = FIELD_TABLES.flatMap(({ route, schema, table }) => {
  const [surface, body] = ROUTES[route] ?? [];
  if (!surface || !body) return [];
  const names = fieldPaths(schema, table).filter((path) => !path.includes('.'));
  return names.map((name) => ({ surface, body, name }));
});

describe.each(cases)('$name on $surface', ({ surface, body, name }) => {
  const { [name]: _, ...without } = body;

  it('is the same as absent when it is null', () => {
    expect(outcome(surface, { ...body, [name]: null })).toBe(outcome(surface, without));
  });

  it.each(EMPTY.map((value) => [JSON.stringify(value), value]))('is taken or refused by its name when it is %s', (_, value) => {
    const result = outcome(surface, { ...body, [name]: value });
    if (result.startsWith('refused: ')) expect(result).toMatch(new RegExp(`^refused: ${name}(?:[.[]|$)`));
  });
});

/** The zero values that a client in Go sends for whatever nobody set. */
const ZERO: Readonly<Record<string, Record<string, unknown>>> = {
  chat: {
    ...{ max_tokens: 0, max_completion_tokens: 0, n: 0, stop: null, tools: [], tool_choice: '', response_format: {}, user: '' },
    ...{ stream: false, stream_options: null, logit_bias: {}, metadata: {}, reasoning_effort: '' },
  },
  completions: { max_tokens: 0, n: 0, stop: '', suffix: '', user: '', best_of: 0 },
  embeddings: { dimensions: 0, encoding_format: '', user: '' },
  responses: { instructions: '', tools: [], max_output_tokens: 0, previous_response_id: '', text: {}, reasoning: {}, user: '' },
  messages: { system: '', tools: [], stop_sequences: [], metadata: {}, thinking: {} },
  ollamaChat: { format: '', options: {}, tools: [], keep_alive: '', think: '' },
  ollamaGenerate: {
    suffix: '',
    system: '',
    template: '',
    context: [],
    images: [],
    format: '',
    options: {},
    keep_alive: '',
    think: '',
  },
};

describe('the zero values of a client in Go', () => {
  it.each(Object.entries(ZERO))('are the same as absent on %s', (surface, zero) => {
    const [, body] = Object.values(ROUTES).find(([name]) => name === surface) ?? [];
    expect(outcome(surface, { ...body, ...zero })).toBe(
      outcome(surface, { ...body, ...('stream' in zero ? { stream: false } : {}) }),
    );
  });

  it('leave the model to Lai when it is empty', () => {
    for (const surface of ['chat', 'completions', 'embeddings', 'responses', 'messages']) {
      const [, body = {}] = Object.values(ROUTES).find(([name]) => name === surface) ?? [];
      expect(outcome(surface, { ...body, model: '' })).toBe(outcome(surface, { ...body, model: undefined }));
    }
  });
});
