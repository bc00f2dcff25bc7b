import http from 'node:http';
import type { GamingWish } from '@lai/shared/node';
import type { Logger } from 'pino';
import { z } from 'zod';
import { parseDurationMs } from '../availability/duration.ts';
import { DesktopReport } from '../sensors/desktop-reports.ts';
import { knock } from './door.ts';
import { keepToken, removeDesktopKey, removePort, writeDesktopKey, writePort } from './local-files.ts';
import { DrainRequest, GamingModeRequest, LOCAL_VERSION, type LocalStatus, PullRequest, UpdateRequest } from './local-status.ts';

const BODY_LIMIT_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 32;

/** What the owner may ask of the agent. */
export interface LocalVerbs {
  status(): LocalStatus;
  gaming(wish: GamingWish): void;
  /** Ends what runs, unloads every model; the machine takes new work afterwards. */
  stopAll(): void;
  drain(isDraining: boolean): void;
  /** Null: no engine of this machine downloads models. Progress lines until it is done or has failed. */
  pull(model: string, signal: AbortSignal): AsyncIterable<unknown> | null;
  /** What the desktop of a session shows. */
  desktop(report: DesktopReport): void;
  /** Null: this agent is no installation that could be updated. */
  update(wish: UpdateRequest, onNews: (stage: string) => void): Promise<{ kind: string; version: string }> | null;
}

export interface LocalDoor {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * The agent's door for programs on the same machine: the CLI, a tray icon, the owner's scripts. Listens on 127.0.0.1 and nowhere else;
 * who may come in is decided in door.ts. A taken port is no reason not to serve: any free one will do, the file says which.
 */
export const openLocalDoor = async (options: {
  dataDir: string;
  port: number;
  verbs: LocalVerbs;
  log: Logger;
}): Promise<LocalDoor> => {
  const token = keepToken(options.dataDir);
  let port = 0;
  let desktopToken: string | null = null;
  const door = http.createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
    answer(request, response, { port, token, desktopToken, verbs: options.verbs }).catch((error: unknown) => {
      options.log.warn({ err: error }, 'local request failed');
      if (!response.headersSent) send(response, 500, { error: 'Something went wrong; the log of the agent says what.' });
      else response.destroy();
    });
  });
  door.maxConnections = MAX_CONNECTIONS;
  door.unref();
  port = await listen(door, options.port).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' && error.code !== 'EACCES') throw error;
    return listen(door, 0);
  });
  writePort(options.dataDir, port);
  desktopToken = writeDesktopKey(options.dataDir, port);
  return {
    port,
    close: async () => {
      removePort(options.dataDir);
      removeDesktopKey(options.dataDir);
      door.closeAllConnections();
      await new Promise<void>((resolve) => door.close(() => resolve()));
    },
  };
};

const listen = (door: http.Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    door.once('error', reject);
    door.listen(port, '127.0.0.1', () => {
      door.off('error', reject);
      const address = door.address();
      if (address && typeof address === 'object') resolve(address.port);
      else reject(new Error('no port'));
    });
  });

/** A path that begins with two slashes would be read as a host; none of ours does. */
const pathOf = (target: string): string | null => {
  const url = `http://127.0.0.1${target}`;
  return target.startsWith('/') && !target.startsWith('//') && URL.canParse(url) ? new URL(url).pathname : null;
};

const answer = async (
  request: http.IncomingMessage,
  response: http.ServerResponse,
  { port, token, desktopToken, verbs }: { port: number; token: string; desktopToken: string | null; verbs: LocalVerbs },
): Promise<void> => {
  const path = pathOf(request.url ?? '/');
  if (path === null) {
    request.resume();
    return send(response, 400, { error: 'This is no address here.' });
  }
  // Each key opens its own: the desktop's nothing else, and the owner's not the desktop's.
  const verdict = knock(request.headers, { port, token: path === '/desktop' && desktopToken !== null ? desktopToken : token });
  if (verdict.kind === 'out') {
    request.resume();
    return send(response, verdict.status, { error: verdict.why });
  }
  switch (`${request.method} ${path}`) {
    case 'GET /status':
      return send(response, 200, verbs.status());
    case 'POST /gaming-mode': {
      const body = await readBody(request, GamingModeRequest);
      if (body.kind === 'wrong') return send(response, 400, { error: body.problem });
      const untilMs = untilOf(body.value, Date.now());
      if (untilMs === 'wrong') return send(response, 400, { error: 'Say for how long as 90s, 30m, 2h or 1d.' });
      verbs.gaming({ mode: body.value.mode, untilMs });
      return send(response, 200, verbs.status());
    }
    case 'POST /stop-all':
      request.resume();
      verbs.stopAll();
      return send(response, 202, verbs.status());
    case 'POST /desktop': {
      const body = await readBody(request, DesktopReport);
      if (body.kind === 'wrong') return send(response, 400, { error: body.problem });
      verbs.desktop(body.value);
      return send(response, 202, {});
    }
    case 'POST /drain': {
      const body = await readBody(request, DrainRequest);
      if (body.kind === 'wrong') return send(response, 400, { error: body.problem });
      verbs.drain(body.value.isDraining);
      return send(response, 200, verbs.status());
    }
    case 'POST /pull': {
      const body = await readBody(request, PullRequest);
      if (body.kind === 'wrong') return send(response, 400, { error: body.problem });
      return pull(body.value.model, response, verbs);
    }
    case 'POST /update': {
      const body = await readBody(request, UpdateRequest);
      if (body.kind === 'wrong') return send(response, 400, { error: body.problem });
      return update(body.value, response, verbs);
    }
    default:
      request.resume();
      return send(response, 404, {
        error: 'There is GET /status, POST /gaming-mode, POST /stop-all, POST /drain, POST /pull and POST /update.',
      });
  }
};

/** One line of JSON per piece of news. Who hangs up cancels the download. */
const pull = async (model: string, response: http.ServerResponse, verbs: LocalVerbs): Promise<void> => {
  const leaving = new AbortController();
  response.once('close', () => leaving.abort());
  const news = verbs.pull(model, leaving.signal);
  if (news === null) return send(response, 409, { error: 'No engine of this machine downloads models.' });
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  try {
    for await (const line of news) response.write(`${JSON.stringify(line)}\n`);
  } catch (error) {
    if (!leaving.signal.aborted)
      response.write(`${JSON.stringify({ error: error instanceof Error ? error.message : String(error) })}\n`);
  }
  response.end();
};

/** Lines like those of a pull. The last one comes just before the agent ends to start again. */
const update = async (wish: UpdateRequest, response: http.ServerResponse, verbs: LocalVerbs): Promise<void> => {
  const write = (line: object) => response.write(`${JSON.stringify(line)}\n`);
  const outcome = verbs.update(wish, (stage) => write({ stage }));
  if (outcome === null)
    return send(response, 409, { error: 'This agent was not installed as a service; update it the way it came.' });
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  await outcome.then(write, (error: unknown) => write({ error: error instanceof Error ? error.message : String(error) }));
  response.end();
};

const untilOf = (wish: z.infer<typeof GamingModeRequest>, nowMs: number): number | null | 'wrong' => {
  if (wish.for === undefined) return wish.untilMs ?? null;
  const ms = parseDurationMs(wish.for);
  return ms === null ? 'wrong' : nowMs + ms;
};

type Body<T> = { readonly kind: 'body'; readonly value: T } | { readonly kind: 'wrong'; readonly problem: string };

const readBody = async <T>(request: http.IncomingMessage, schema: z.ZodType<T>): Promise<Body<T>> => {
  // A form of a web page cannot send this type without asking first.
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) {
    request.resume();
    return { kind: 'wrong', problem: 'Send the body as application/json.' };
  }
  let text = '';
  for await (const piece of request.setEncoding('utf8') as AsyncIterable<string>) {
    text += piece;
    if (text.length > BODY_LIMIT_BYTES) return { kind: 'wrong', problem: 'The body is too long.' };
  }
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? { kind: 'body', value: parsed.data } : { kind: 'wrong', problem: z.prettifyError(parsed.error) };
  } catch {
    return { kind: 'wrong', problem: 'The body is not JSON.' };
  }
};

const send = (response: http.ServerResponse, status: number, body: object): void => {
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(JSON.stringify({ version: LOCAL_VERSION, ...body }));
};
