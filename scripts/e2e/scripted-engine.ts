import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ScriptedModel {
  readonly name: string;
  readonly capabilities: readonly string[];
}

/** A request as the engine got it. */
export interface SeenRequest {
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
}

export interface ScriptedEngine {
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  close(): Promise<void>;
}

type Script = (request: SeenRequest, response: ServerResponse) => void | Promise<void>;

/**
 * An engine that says what a test tells it to, for what the mock engine does not speak: recorded streams with their defects, reranking,
 * transcription. To the agent it is a mock engine: `--runtime mock --mock-url <url>`.
 */
export const startScriptedEngine = async (
  models: readonly ScriptedModel[],
  scripts: Readonly<Record<string, Script>>,
): Promise<ScriptedEngine> => {
  const seen: SeenRequest[] = [];
  const pages: Record<string, unknown> = {
    '/props': { build_info: 'scripted', total_slots: 2 },
    '/models': { data: models.map(({ name }) => ({ id: name, status: { value: 'loaded' }, context_length: 4_096 })) },
    '/models/load': { success: true },
    '/_mock/state': {
      models: models.map((model) => ({ ...model, slots: 2, diskBytes: 1_000, sizeBytes: 1_000, vramBytes: 0 })),
    },
  };
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://engine').pathname;
    const body = await readAll(request);
    const page = pages[path];
    const script = scripts[path];
    if (page !== undefined) return void answerJson(response, 200, page);
    if (!script)
      return void answerJson(response, 404, { error: { message: 'File Not Found', type: 'not_found_error', code: 404 } });
    const call = { path, contentType: request.headers['content-type'] ?? '', body };
    seen.push(call);
    await script(call, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

/** A node of this engine for a Fleet. */
export const scriptedNode = (name: string, engine: ScriptedEngine) => ({
  name,
  models: '',
  agentArgs: ['--runtime', 'mock', '--mock-url', engine.url],
});

export const answerJson = (response: ServerResponse, status: number, value: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
};

export const answerEvents = (response: ServerResponse, text: string): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);
};

const readAll = async (request: IncomingMessage): Promise<Buffer> => {
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces);
};
