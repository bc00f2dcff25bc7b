import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { argumentsFor, preferredTool, type Tool } from './engine-tools.ts';

type Fields = Record<string, unknown>;

interface Message {
  readonly role: string;
  readonly content?: string | readonly Fields[] | null;
}

/** What the engine noticed, for assertions. */
export interface EngineLog {
  readonly streaming: number;
  readonly aborted: number;
  readonly requests: readonly { readonly model: string; readonly messages: readonly Message[] }[];
}

export interface ClientEngine {
  readonly url: string;
  readonly log: EngineLog;
  close(): Promise<void>;
}

const CHAT = ['chat', 'completion', 'tools', 'vision', 'json'];
/** A token of the answer that never ends by itself. */
const TICK_MS = 50;

/**
 * The engine behind the client matrix. To the agent it is a mock engine (llama-server's router dialect); what it says depends on words
 * in what the user said last, so that a client's output can be checked:
 *
 *   TOOL     calls a tool, and once its result is there, repeats it      SLOW     never ends
 *   TOOLONG  refuses the prompt as longer than the context               THINK    thinks first
 *   BREAK    breaks off after a word                                     (image)  says how many it saw
 *   anything else: a greeting
 *
 * `cold-*` models take `coldMs` to load, which is what clients have to be held through.
 */
export const startClientEngine = async (options: { coldMs: number; coldModels: readonly string[] }): Promise<ClientEngine> => {
  const warmAtMs = new Map<string, number>();
  const log = { streaming: 0, aborted: 0, requests: [] as { model: string; messages: Message[] }[] };
  const statusOf = (model: string): string => {
    if (!options.coldModels.includes(model)) return 'loaded';
    const at = warmAtMs.get(model);
    return at === undefined ? 'unloaded' : at > performance.now() ? 'loading' : 'loaded';
  };
  const models = [
    { name: 'talker', capabilities: CHAT },
    { name: 'embedder', capabilities: ['embedding'] },
    { name: 'listener', capabilities: ['audio'] },
    ...options.coldModels.map((name) => ({ name, capabilities: CHAT })),
  ];

  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://engine').pathname;
    const body = path === '/v1/audio/transcriptions' ? {} : await readJson(request);
    switch (path) {
      case '/props':
        return answerJson(response, 200, { build_info: 'client matrix', total_slots: 8 });
      case '/models':
        return answerJson(response, 200, {
          data: models.map(({ name }) => ({ id: name, status: { value: statusOf(name) }, context_length: 131_072 })),
        });
      case '/models/load': {
        const model = String(body['model']);
        if (!warmAtMs.has(model)) warmAtMs.set(model, performance.now() + options.coldMs);
        return answerJson(response, 200, { success: true });
      }
      case '/_mock/state':
        return answerJson(response, 200, { models: models.map((model) => ({ ...model, slots: 8, diskBytes: 1, vramBytes: 1 })) });
      case '/v1/embeddings':
        return answerJson(response, 200, embedded(body));
      case '/v1/audio/transcriptions':
        return answerJson(response, 200, { text: 'good morning' });
      case '/v1/chat/completions':
      case '/v1/completions':
        return speak(path, body, response, log);
      default:
        return answerJson(response, 404, { error: { message: 'File Not Found', type: 'not_found_error', code: 404 } });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    log,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

const speak = async (
  path: string,
  body: Fields,
  response: ServerResponse,
  log: { streaming: number; aborted: number; requests: { model: string; messages: Message[] }[] },
): Promise<void> => {
  const model = String(body['model']);
  const messages = (body['messages'] as Message[] | undefined) ?? [{ role: 'user', content: String(body['prompt']) }];
  log.requests.push({ model, messages });
  const asked = textOf(messages.findLast(({ role }) => role === 'user'));
  if (asked.includes('TOOLONG')) return tooLong(response);
  const write = writerFor(path, model, response);
  if (asked.includes('SLOW')) {
    log.streaming += 1;
    response.once('close', () => {
      log.streaming -= 1;
      log.aborted += 1;
    });
    for (let tick = 0; !response.destroyed; tick += 1) {
      write({ content: `tick ${tick} ` });
      await pause(TICK_MS);
    }
    return;
  }
  const result = resultAfterUser(messages);
  const tool = asked.includes('TOOL') && result === null ? preferredTool((body['tools'] as Tool[] | undefined) ?? []) : undefined;
  if (tool) {
    const call = {
      index: 0,
      id: `call_${log.requests.length}`,
      type: 'function',
      function: { name: tool.function.name, arguments: '' },
    };
    write({ tool_calls: [call] });
    write({ tool_calls: [{ index: 0, function: { arguments: JSON.stringify(argumentsFor(tool)) } }] });
    return finish(write, response, 'tool_calls');
  }
  const images = messages.reduce((sum, { content }) => sum + imagesIn(content), 0);
  const text = result !== null ? `The tool said: ${result}` : images > 0 ? `I see ${images} image.` : 'Hello from the house.';
  if (asked.includes('THINK')) write({ reasoning_content: 'Let me see.' });
  if (asked.includes('BREAK')) {
    write({ content: 'Well' });
    response.end();
    return;
  }
  for (const word of text.match(/\S+\s*/g) ?? []) write({ content: word });
  finish(write, response, 'stop');
};

type Write = (delta: Fields, finish?: string, usage?: Fields) => void;

const writerFor = (path: string, model: string, response: ServerResponse): Write => {
  const isChat = path.endsWith('/chat/completions');
  const head = {
    id: 'chatcmpl-1',
    created: Math.floor(Date.now() / 1_000),
    model,
    object: isChat ? 'chat.completion.chunk' : 'text_completion',
  };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  let isFirst = true;
  return (delta, finish, usage) => {
    const role = isFirst ? { role: 'assistant' } : {};
    isFirst = false;
    const words = isChat ? { delta: { ...role, ...delta } } : { text: delta['content'] ?? '', logprobs: null };
    const choices = usage ? [] : [{ index: 0, ...words, finish_reason: finish ?? null }];
    response.write(`data: ${JSON.stringify({ ...head, choices, ...(usage ? { usage } : {}) })}\n\n`);
  };
};

const finish = (write: Write, response: ServerResponse, reason: string): void => {
  write({}, reason);
  write({}, undefined, { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 });
  response.end('data: [DONE]\n\n');
};

const tooLong = (response: ServerResponse): void =>
  answerJson(response, 400, {
    error: {
      code: 400,
      type: 'exceed_context_size_error',
      message: 'request (200000 tokens) exceeds the available context size (131072 tokens), try increasing it',
      n_prompt_tokens: 200_000,
      n_ctx: 131_072,
    },
  });

const embedded = (body: Fields) => {
  const input = Array.isArray(body['input']) ? body['input'] : [body['input']];
  return {
    object: 'list',
    model: body['model'],
    data: input.map((_, index) => ({ object: 'embedding', index, embedding: [0.5, -0.25, index] })),
    usage: { prompt_tokens: input.length, total_tokens: input.length },
  };
};

const resultAfterUser = (messages: readonly Message[]): string | null => {
  const user = messages.findLastIndex(({ role }) => role === 'user');
  const result = messages.slice(user + 1).findLast(({ role }) => role === 'tool');
  return result ? textOf(result).slice(0, 200) : null;
};

const textOf = (message: Message | undefined): string => {
  const content = message?.content ?? '';
  return typeof content === 'string' ? content : content.map((part) => String(part['text'] ?? '')).join('\n');
};

const imagesIn = (content: Message['content']): number =>
  Array.isArray(content) ? content.filter((part: Fields) => part['type'] === 'image_url').length : 0;

const answerJson = (response: ServerResponse, status: number, value: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
};

const readJson = async (request: IncomingMessage): Promise<Fields> => {
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  return pieces.length === 0 ? {} : (JSON.parse(Buffer.concat(pieces).toString()) as Fields);
};
