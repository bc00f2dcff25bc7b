/** What the engine simulator says, serialised once: at 50,000 tokens a second nothing is left over for JSON. */

export const MODEL = 'bench';
/** Stands for one token of content; the load side counts these bytes, wherever a target has cut or joined the events around them. */
export const TOKEN = ' tok';
/** More than any scenario has in flight, so that no slot is waited for. */
export const SLOTS = 1_000;

/** What a request asks for. Read from fields that every gateway passes on: the limit, and a sentence in the prompt. */
export interface Wish {
  readonly isStream: boolean;
  readonly wantsUsage: boolean;
  readonly tokens: number;
  /** Tokens per second; 0 = all at once. */
  readonly tps: number;
  readonly firstTokenMs: number;
}

export const prompt = (pace: { tps: number; firstTokenMs: number }): string => `pace tps=${pace.tps} first=${pace.firstTokenMs}`;

export const readWish = (body: string): Wish => {
  const number = (pattern: RegExp, otherwise: number) => Number(pattern.exec(body)?.[1] ?? otherwise);
  return {
    isStream: /"stream"\s*:\s*true/.test(body),
    wantsUsage: /"include_usage"\s*:\s*true/.test(body),
    tokens: number(/"max_tokens"\s*:\s*(\d+)/, 8),
    tps: number(/pace tps=(\d+)/, 0),
    firstTokenMs: number(/pace tps=\d+ first=(\d+)/, 0),
  };
};

const created = 1_700_000_000;
const chunk = (choices: unknown, more: Record<string, unknown> = {}): string =>
  `data: ${JSON.stringify({ choices, created, id: 'chatcmpl-bench', model: MODEL, system_fingerprint: 'b0-bench', object: 'chat.completion.chunk', ...more })}\n\n`;
const delta = (fields: Record<string, unknown>, finish: string | null = null) =>
  chunk([{ finish_reason: finish, index: 0, delta: fields }]);

const framed = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

const HEAD =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n' +
  framed(delta({ role: 'assistant', content: null }));
const TOKEN_CHUNK = framed(delta({ content: TOKEN }));

export const streamHead = Buffer.from(HEAD);
export const streamToken = Buffer.from(TOKEN_CHUNK);
export const tokenBytes = streamToken.length;

const usageOf = (tokens: number) => ({ prompt_tokens: 8, completion_tokens: tokens, total_tokens: 8 + tokens });

export const streamTail = ({ tokens, wantsUsage }: Wish): Buffer =>
  remembered(`tail ${tokens} ${wantsUsage}`, () => {
    const usage = wantsUsage ? framed(chunk([], { usage: usageOf(tokens) })) : '';
    return `${framed(delta({}, 'length'))}${usage}${framed('data: [DONE]\n\n')}0\r\n\r\n`;
  });

/** The whole stream in one write, for answers without a pace. */
export const wholeStream = (wish: Wish): Buffer =>
  remembered(
    `stream ${wish.tokens} ${wish.wantsUsage}`,
    () => HEAD + TOKEN_CHUNK.repeat(wish.tokens) + streamTail(wish).toString(),
  );

export const wholeAnswer = ({ tokens }: Wish): Buffer =>
  remembered(`json ${tokens}`, () =>
    reply(200, {
      choices: [{ finish_reason: 'length', index: 0, message: { role: 'assistant', content: TOKEN.repeat(tokens) } }],
      created,
      id: 'chatcmpl-bench',
      model: MODEL,
      object: 'chat.completion',
      usage: usageOf(tokens),
    }),
  );

export const reply = (status: number, body: unknown): string => {
  const text = JSON.stringify(body);
  return `HTTP/1.1 ${status} OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
};

const memory = new Map<string, Buffer>();
const remembered = (key: string, make: () => string): Buffer => {
  const known = memory.get(key);
  if (known !== undefined) return known;
  const made = Buffer.from(make());
  memory.set(key, made);
  return made;
};

const sizeBytes = 2 * 1024 ** 3;

/** The pages that the agent's mock runtime asks a llama-server for. */
export const pages: Readonly<Record<string, unknown>> = {
  '/health': { status: 'ok' },
  '/props': { role: 'router', build_info: 'b0-bench' },
  '/models': {
    object: 'list',
    data: [
      { id: MODEL, object: 'model', status: { value: 'loaded' }, context_length: 8192, meta: { n_ctx: 8192, size: sizeBytes } },
    ],
  },
  '/models/load': { success: true },
  '/_mock/state': {
    models: [
      {
        ...{ name: MODEL, slots: SLOTS, capabilities: ['chat', 'completion', 'json'], vramBytes: sizeBytes },
        // `diskBytes` was called `sizeBytes`; `--against` starts agents of that time, too.
        ...{ diskBytes: sizeBytes, sizeBytes },
      },
    ],
  },
  '/_mock/gpu': {
    name: 'bench',
    totalBytes: 4 * sizeBytes,
    usedBytes: sizeBytes,
    freeBytes: 3 * sizeBytes,
    utilization: 0,
    temperatureCelsius: null,
    powerWatts: null,
  },
};
