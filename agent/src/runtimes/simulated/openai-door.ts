import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What the simulated LM Studio and the simulated mlx_lm.server share: an HTTP program on loopback that writes OpenAI answers token by
 * token. Not these engines and not recorded from them: both run on machines that were not at hand. Every answer says that it is simulated.
 */
export interface DoorOptions {
  /** Routes of its own, asked first; true when it answered. */
  readonly answer: (visit: Visit) => Promise<boolean> | boolean;
  /** Refuses a generation: status and body. Null lets it through. */
  readonly refuse: (visit: Visit) => Promise<Refusal | null> | Refusal | null;
  /** Written before the first token. */
  readonly prelude?: string;
}

export interface Visit {
  readonly method: string;
  readonly path: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Record<string, unknown>;
}

export interface Refusal {
  readonly status: number;
  readonly body: unknown;
}

const TOKEN_MS = 2;
const WORDS = ['[simulated]', ' cold', ' rain', ' falls', ' on', ' old', ' stone'];

export class OpenAiDoor {
  readonly #options: DoorOptions;
  readonly #running = new Set<ServerResponse>();
  readonly #listener = createServer((request, response) => void this.#visit(request, response));

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  /** How many answers are being written. */
  get active(): number {
    return this.#running.size;
  }

  async open(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#listener.listen(port, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  /** What runs breaks off. */
  breakAnswers(): void {
    for (const response of this.#running) response.socket?.resetAndDestroy();
  }

  /** What runs ends with words that belong to no answer, and properly. */
  spoilAnswers(text: string): void {
    for (const response of this.#running) response.end(text);
  }

  async close(): Promise<void> {
    if (!this.#listener.listening) return;
    await new Promise((resolve) => {
      this.#listener.close(resolve);
      this.#listener.closeAllConnections();
    });
  }

  async #visit(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('x-lai-simulated', '1');
    let text = '';
    for await (const piece of request) text += piece;
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    const visit = { method: request.method ?? 'GET', path, request, response, body: text === '' ? {} : JSON.parse(text) };
    if (await this.#options.answer(visit)) return;
    if (!['/v1/chat/completions', '/v1/completions', '/v1/embeddings'].includes(path)) {
      sendJson(response, 404, { error: 'Not Found' });
      return;
    }
    const refusal = await this.#options.refuse(visit);
    if (refusal) sendJson(response, refusal.status, refusal.body);
    else if (path === '/v1/embeddings') sendJson(response, 200, vectorsOf(visit.body));
    else this.#generate(visit);
  }

  #generate({ path, body, response }: Visit): void {
    const isChat = path === '/v1/chat/completions';
    const wanted = Number(body['max_tokens'] ?? 8);
    const choice = (text: string, finish: string | null) => ({
      index: 0,
      finish_reason: finish,
      ...(isChat ? { delta: { content: text } } : { text }),
    });
    const usage = { prompt_tokens: 3, completion_tokens: wanted, total_tokens: wanted + 3 };
    if (body['stream'] !== true) {
      const text = Array.from({ length: wanted }, (_, at) => WORDS[at % WORDS.length]).join('');
      const whole = isChat ? { message: { role: 'assistant', content: text } } : { text };
      sendJson(response, 200, { model: body['model'], choices: [{ index: 0, finish_reason: 'length', ...whole }], usage });
      return;
    }
    const say = (event: unknown) => response.write(`data: ${JSON.stringify(event)}\n\n`);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(this.#options.prelude ?? '');
    this.#running.add(response);
    let tokens = 0;
    const timer = setInterval(() => {
      if (tokens < wanted) {
        say({ model: body['model'], choices: [choice(WORDS[tokens % WORDS.length] ?? '', null)] });
        tokens += 1;
        return;
      }
      clearInterval(timer);
      say({ model: body['model'], choices: [choice('', 'length')] });
      say({ model: body['model'], choices: [], usage });
      response.end('data: [DONE]\n\n');
    }, TOKEN_MS);
    response.once('close', () => {
      clearInterval(timer);
      this.#running.delete(response);
    });
  }
}

export const sendJson = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};

const vectorsOf = (body: Record<string, unknown>) => ({
  object: 'list',
  model: body['model'],
  data: [body['input']].flat().map((_, index) => ({ object: 'embedding', index, embedding: Array(16).fill(0.25) })),
  usage: { prompt_tokens: 2, total_tokens: 2 },
});

/** The words of a prompt, roughly. */
export const promptWords = (body: Record<string, unknown>): number =>
  JSON.stringify(body['messages'] ?? body['prompt'] ?? '').split(/\s+/).length;
