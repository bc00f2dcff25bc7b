import type { AttemptRoute } from '@lai/shared/attempt';
import { CodedError } from '@lai/shared/errors';
import { ChatCompletionRequest, CompletionRequest, EmbeddingRequest } from '@lai/shared/openai';
import { parseJsonBody } from './body.ts';
import { chatQuestion } from './chat-completions.ts';
import { chatCollector } from './collect-chat.ts';
import { textCollector } from './collect-text.ts';
import { completionQuestion } from './completions.ts';
import { embeddingCollector, embeddingQuestion } from './embeddings.ts';
import type { Question } from './serve.ts';

/** Puts the bytes of an answer together into what a client gets who does not stream. */
export interface Collector {
  push(bytes: Uint8Array): void;
  finish(): unknown;
}

export interface AskedForLater {
  readonly question: Question;
  readonly collector: Collector;
}

/** A body that says by its fields which of OpenAI's routes it is for, as a question that can be asked any time. Throws CodedError. */
export const questionIn = (bytes: Buffer, limits: { maxTextBytes: number }): AskedForLater => {
  const kind = routeOf(bytes);
  switch (kind) {
    case 'chat.completions':
      return { question: chatQuestion(parseJsonBody(bytes, ChatCompletionRequest, limits)), collector: chatCollector() };
    case 'completions':
      return { question: completionQuestion(parseJsonBody(bytes, CompletionRequest, limits)), collector: textCollector() };
    case 'embeddings': {
      const body = parseJsonBody(bytes, EmbeddingRequest, limits);
      return { question: embeddingQuestion(body), collector: embeddingCollector(body.value) };
    }
    default:
      throw new CodedError('invalid_value', {
        message: 'Send the body of a chat completion (messages), a completion (prompt) or embeddings (input).',
      });
  }
};

const routeOf = (bytes: Buffer): AttemptRoute | null => {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    return 'chat.completions'; // whose parser says what is wrong with it
  }
  if (typeof value !== 'object' || value === null) return null;
  if ('messages' in value) return 'chat.completions';
  if ('input' in value) return 'embeddings';
  return 'prompt' in value ? 'completions' : null;
};
