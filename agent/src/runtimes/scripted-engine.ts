import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ScriptedAnswer {
  readonly status?: number;
  /** A text goes out as it is, anything else as JSON. */
  readonly body: unknown;
}

export interface ScriptedEngine {
  readonly url: string;
  /** What was asked, oldest first: `POST /api/generate` with its body. */
  readonly asked: { readonly call: string; readonly body: unknown }[];
  close(): Promise<void>;
}

/** For tests: a program on loopback that answers as the test says. Undefined is 404. */
export const startScriptedEngine = async (
  answer: (path: string, body: Record<string, unknown>) => ScriptedAnswer | undefined,
): Promise<ScriptedEngine> => {
  const asked: ScriptedEngine['asked'] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const text = Buffer.concat(pieces).toString();
      const body: Record<string, unknown> = text === '' ? {} : JSON.parse(text);
      const path = request.url ?? '';
      asked.push({ call: `${request.method} ${path}`, body });
      const { status = 200, body: said } = answer(path, body) ?? { status: 404, body: { error: 'not found' } };
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof said === 'string' ? said : JSON.stringify(said));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
};
