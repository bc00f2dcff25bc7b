import { CountTokensRequest, MessagesRequest } from '@lai/shared/anthropic';
import { CodedError } from '@lai/shared/errors';
import { OllamaChatRequest, OllamaGenerateRequest } from '@lai/shared/ollama';
import { ResponseRequest } from '@lai/shared/responses';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { estimatedTokens } from './anthropic/count-tokens.ts';
import { chatFromMessages } from './anthropic/messages-input.ts';
import { chatFromGenerate, chatFromOllama, completionFromGenerate } from './ollama/input.ts';
import { chatConversation, chatTarget } from './openai/needs.ts';
import { chatFromResponse } from './openai/responses-input.ts';
import { offerTools } from './openai/responses-tools.ts';

const wild = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constant({ toString: 1 }), fc.constant({ data: { toString: 1 } }));
const sometimes = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const kinds = [
  'text',
  'image',
  'document',
  'tool_use',
  'tool_result',
  'thinking',
  'search_result',
  'input_text',
  'input_image',
  'input_file',
  'output_text',
];

/** Something like a block; the fields that no schema looks at are anything. */
const block = fc.record(
  {
    type: fc.constantFrom(...kinds, 'new'),
    text: fc.string(),
    content: fc.oneof(wild, fc.array(fc.oneof(wild, fc.record({ type: fc.constantFrom(...kinds), text: wild, source: wild })))),
    source: wild,
    id: fc.string(),
    name: fc.string(),
    input: wild,
    tool_use_id: fc.string(),
    image_url: wild,
    file_data: wild,
    title: wild,
  },
  { requiredKeys: ['type'] },
);
const content = fc.oneof(fc.string(), fc.array(block, { maxLength: 4 }));
const role = fc.constantFrom('user', 'assistant', 'system', 'developer', 'tool', 'other');
const message = fc.record({
  role,
  content,
  images: sometimes(fc.array(fc.string())),
  tool_calls: sometimes(fc.array(fc.record({ function: fc.record({ name: fc.string(), arguments: wild }) }))),
});
const tools = sometimes(
  fc.array(
    fc.record({
      type: fc.constantFrom('function', 'custom', 'namespace'),
      name: fc.string(),
      tools: sometimes(fc.array(fc.record({ type: fc.string(), name: fc.string() }))),
      parameters: sometimes(fc.dictionary(fc.string(), wild)),
    }),
  ),
);
const item = fc.record(
  {
    type: fc.constantFrom(
      'message',
      'function_call',
      'function_call_output',
      'custom_tool_call',
      'custom_tool_call_output',
      'reasoning',
      'x',
    ),
    role,
    content,
    output: content,
    call_id: fc.string(),
    name: fc.string(),
    namespace: fc.string(),
    arguments: fc.string(),
    input: fc.string(),
  },
  { requiredKeys: ['type'] },
);

/** Whatever the schema lets in is translated or refused in so many words; it never breaks. */
const holds = <T>(schema: z.ZodType<T>, body: fc.Arbitrary<unknown>, translate: (request: T) => unknown) =>
  fc.assert(
    fc.property(body, (value) => {
      const parsed = schema.safeParse(JSON.parse(JSON.stringify(value)));
      if (!parsed.success) return;
      try {
        expect(JSON.stringify(translate(parsed.data))).toBeTypeOf('string');
      } catch (error) {
        expect(error).toBeInstanceOf(CodedError);
      }
    }),
    { numRuns: 300 },
  );

describe('whatever a client sends', () => {
  it('as messages', () => {
    const body = fc.record({
      messages: fc.array(message, { minLength: 1, maxLength: 4 }),
      system: sometimes(content),
      tools,
      tool_choice: sometimes(wild),
    });
    holds(MessagesRequest, body, (request) => {
      const chat = chatFromMessages(request);
      return [chat, chatTarget(chat), chatConversation(chat)];
    });
    holds(CountTokensRequest, body, estimatedTokens);
  });

  it('as a response request', () => {
    const body = fc.record({
      input: fc.oneof(fc.string(), fc.array(item, { maxLength: 5 })),
      tools,
      tool_choice: sometimes(wild),
      text: sometimes(wild),
      reasoning: sometimes(wild),
    });
    holds(ResponseRequest, body, (request) => {
      const items = typeof request.input === 'string' ? [{ role: 'user', content: request.input }] : request.input;
      const chat = chatFromResponse(request, items, { offer: offerTools(request.tools ?? []), canThink: true });
      return [chat, chatTarget(chat), chatConversation(chat)];
    });
  });

  it("to Ollama's routes", () => {
    const more = {
      model: fc.constant('m'),
      format: sometimes(fc.oneof(fc.string(), fc.dictionary(fc.string(), wild))),
      options: sometimes(fc.dictionary(fc.string(), wild)),
      think: sometimes(fc.boolean()),
    };
    holds(OllamaChatRequest, fc.record({ messages: fc.array(message, { maxLength: 4 }), ...more }), (request) => {
      const chat = chatFromOllama(request, true);
      return [chat, chatTarget(chat), chatConversation(chat)];
    });
    holds(
      OllamaGenerateRequest,
      fc.record({ prompt: fc.string(), images: sometimes(fc.array(fc.string())), suffix: sometimes(fc.string()), ...more }),
      (request) => [chatFromGenerate(request, true), completionFromGenerate(request)],
    );
  });
});
