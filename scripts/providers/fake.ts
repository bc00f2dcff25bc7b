/**
 * A fake provider that speaks OpenAI's API, for tests. It is no provider and says so in its answers. What it does is chosen by the name of
 * the model; it judges requests by their key, and tells at `GET /_seen` what reached it.
 *
 *   node scripts/providers/fake.ts PORT KEY [ORIGIN-TO-REDIRECT-TO]
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { argv } from 'node:process';

const [port = '0', key = '', elsewhere = ''] = argv.slice(2);
const seen: { path: string; model: string; authorization: string; body: string }[] = [];
/** Models whose next requests fail, and how often still. */
const failing = new Map<string, number>();

const server = createServer((request, response) => {
  void read(request).then((body) => answer(request, response, body));
});

const read = async (request: IncomingMessage): Promise<string> => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
};

const answer = (request: IncomingMessage, response: ServerResponse, body: string): void => {
  const path = request.url ?? '';
  if (path === '/_seen') {
    json(response, 200, seen);
    return;
  }
  const authorization = request.headers.authorization ?? '';
  const model = body === '' ? '' : String((JSON.parse(body) as { model?: unknown }).model);
  seen.push({ path, model, authorization, body });
  const serve = authorization === `Bearer ${key}` ? (ROUTES[path] ?? noRoute) : wrongKey;
  serve(response, model);
};

type Serve = (response: ServerResponse, model: string) => void;

const json = (response: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
};

const refuse =
  (status: number, code: string, headers: Record<string, string> = {}): Serve =>
  (response) =>
    json(response, status, { error: { message: `Refused: ${code}.`, type: code, code } }, headers);

const event = (model: string, delta: object, finish: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'chatcmpl-fake', object: 'chat.completion.chunk', created: 1, model, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const usage = (model: string): string =>
  `data: ${JSON.stringify({ id: 'chatcmpl-fake', object: 'chat.completion.chunk', created: 1, model, choices: [], usage: { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 } })}\n\n`;

const begin = (response: ServerResponse, model: string): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(event(model, { role: 'assistant', content: '' }));
};
const speak = (response: ServerResponse, model: string): void => {
  begin(response, model);
  response.write(event(model, { content: '[fake provider] ' }));
  response.write(event(model, { content: 'Hello.' }));
};
const whole = (response: ServerResponse, model: string): void => {
  speak(response, model);
  response.end(`${event(model, {}, 'stop')}${usage(model)}data: [DONE]\n\n`);
};

const SCENARIOS: Readonly<Record<string, Serve>> = {
  ok: whole,
  'rate-limit': refuse(429, 'rate_limit_exceeded', { 'retry-after': '7' }),
  quota: refuse(429, 'insufficient_quota'),
  overloaded: refuse(503, 'overloaded'),
  'too-long': refuse(400, 'context_length_exceeded'),
  broken: refuse(502, 'bad_gateway'),
  /** Fails once, then answers. */
  'broken-once': (response, model) => {
    const left = failing.get(model) ?? 1;
    failing.set(model, left - 1);
    const serve = left > 0 ? refuse(502, 'bad_gateway') : whole;
    serve(response, model);
  },
  hang: () => {},
  'hang-after-head': begin,
  'quiet-end': (response, model) => {
    speak(response, model);
    response.end();
  },
  'quiet-end-before-content': (response, model) => {
    begin(response, model);
    response.end();
  },
  cut: (response, model) => {
    speak(response, model);
    setImmediate(() => response.destroy());
  },
  'midstream-error': (response, model) => {
    speak(response, model);
    response.end(`data: ${JSON.stringify({ error: { message: 'The server had an error.', code: 'server_error' } })}\n\n`);
  },
  'error-before-content': (response, model) => {
    begin(response, model);
    response.end(`data: ${JSON.stringify({ error: { message: 'Overloaded', code: 'overloaded_error' } })}\n\n`);
  },
  html: (response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sign in</html>');
  },
  redirect: (response) => {
    response.writeHead(307, { location: `${elsewhere}/v1/chat/completions` }).end();
  },
};
const MODELS = [...Object.keys(SCENARIOS), 'embed-ok'];

const wrongKey = refuse(401, 'invalid_api_key');
const noRoute = refuse(404, 'unknown_route');
const ROUTES: Readonly<Record<string, Serve>> = {
  '/v1/models': (response) => json(response, 200, { object: 'list', data: MODELS.map((id) => ({ id, object: 'model' })) }),
  '/v1/embeddings': (response, model) =>
    json(response, 200, { object: 'list', model, data: [{ object: 'embedding', index: 0, embedding: [0.25, -0.5] }] }),
  '/v1/chat/completions': (response, model) => (SCENARIOS[model] ?? refuse(404, 'model_not_found'))(response, model),
};

server.listen(Number(port), '127.0.0.1', () => {
  const address = server.address();
  console.log(`fake provider listens on ${typeof address === 'object' && address !== null ? address.port : port}`);
});
