import { chatFromMessages } from '../../coordinator/src/api/anthropic/messages-input.ts';
import { chatFromGenerate, chatFromOllama } from '../../coordinator/src/api/ollama/input.ts';
import { parseJsonBody } from '../../coordinator/src/api/openai/body.ts';
import { chatQuestion as chatCompletionQuestion } from '../../coordinator/src/api/openai/chat-completions.ts';
import { chatQuestion } from '../../coordinator/src/api/openai/chat-question.ts';
import { completionQuestion } from '../../coordinator/src/api/openai/completions.ts';
import { embeddingQuestion } from '../../coordinator/src/api/openai/embeddings.ts';
import { questionIn } from '../../coordinator/src/api/openai/questions.ts';
import { chatFromResponse } from '../../coordinator/src/api/openai/responses-input.ts';
import { offerTools } from '../../coordinator/src/api/openai/responses-tools.ts';
import { MessagesRequest } from '../../shared/src/anthropic.ts';
import { OllamaChatRequest, OllamaGenerateRequest } from '../../shared/src/ollama.ts';
import { ChatCompletionRequest, CompletionRequest, EmbeddingRequest } from '../../shared/src/openai.ts';
import { ResponseRequest } from '../../shared/src/responses.ts';

const LIMITS = { maxTextBytes: 4 * 1024 * 1024 };

type Ask = (bytes: Buffer) => { readonly bodyFor: (model: string) => Uint8Array };

/** Every surface's way from a client's bytes to an engine's. */
export const SURFACES: Readonly<Record<string, Ask>> = {
  jobs: (bytes) => questionIn(bytes, LIMITS).question,
  chat: (bytes) => chatCompletionQuestion(parseJsonBody(bytes, ChatCompletionRequest, LIMITS)),
  completions: (bytes) => completionQuestion(parseJsonBody(bytes, CompletionRequest, LIMITS)),
  embeddings: (bytes) => embeddingQuestion(parseJsonBody(bytes, EmbeddingRequest, LIMITS)),
  messages: (bytes) => chatQuestion(chatFromMessages(parseJsonBody(bytes, MessagesRequest, LIMITS).value)),
  responses: (bytes) => {
    const { value } = parseJsonBody(bytes, ResponseRequest, LIMITS);
    const items = typeof value.input === 'string' ? [{ role: 'user', content: value.input }] : value.input;
    return chatQuestion(chatFromResponse(value, items, { offer: offerTools(value.tools ?? []), canThink: true }));
  },
  ollamaChat: (bytes) => chatQuestion(chatFromOllama(parseJsonBody(bytes, OllamaChatRequest, LIMITS).value, true)),
  ollamaGenerate: (bytes) => chatQuestion(chatFromGenerate(parseJsonBody(bytes, OllamaGenerateRequest, LIMITS).value, true)),
};
