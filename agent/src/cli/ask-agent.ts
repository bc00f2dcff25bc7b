import http from 'node:http';
import { readLocalAddress } from '../local/local-files.ts';
import { LocalStatus } from '../local/local-status.ts';

export class NotRunning extends Error {}

const ASK_LIMIT_MS = 10_000;

export interface Asked {
  readonly status: number;
  readonly body: unknown;
}

/**
 * One question to the agent of this data folder, through its door on loopback. Fails with NotRunning when nobody is there. Of an answer
 * in lines each goes to `onLine`, and time does not matter.
 */
export const askAgent = (
  dataDir: string,
  question: { method: 'GET' | 'POST'; path: string; body?: unknown; onLine?: (line: unknown) => void },
): Promise<Asked> => {
  const address = readLocalAddress(dataDir);
  if (!address) return Promise.reject(new NotRunning(notRunning(dataDir)));
  const text = question.body === undefined ? '' : JSON.stringify(question.body);
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        host: '127.0.0.1',
        port: address.port,
        method: question.method,
        path: question.path,
        headers: {
          authorization: `Bearer ${address.token}`,
          ...(text === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        },
        ...(question.onLine ? {} : { timeout: ASK_LIMIT_MS }),
      },
      (response) => {
        let rest = '';
        response.setEncoding('utf8').on('data', (piece: string) => {
          rest += piece;
          if (!question.onLine || response.statusCode !== 200) return;
          const lines = rest.split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) question.onLine(JSON.parse(line));
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: rest === '' ? null : parseJson(rest) }));
        response.on('error', reject);
      },
    );
    request.on('timeout', () => request.destroy(new Error('the agent does not answer')));
    // A port file without an agent behind it was left by one that was killed.
    request.on('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ECONNREFUSED' ? new NotRunning(notRunning(dataDir)) : error),
    );
    request.end(text);
  });
};

export const askStatus = async (dataDir: string): Promise<LocalStatus> =>
  LocalStatus.parse(answered(await askAgent(dataDir, { method: 'GET', path: '/status' })));

/** The body of a good answer; anything else is an error in the agent's own words. */
export const answered = ({ status, body }: Asked): unknown => {
  if (status >= 200 && status < 300) return body;
  const words = (body as { error?: unknown } | null)?.error;
  throw new Error(typeof words === 'string' ? words : `the agent answered with status ${status}`);
};

const notRunning = (dataDir: string): string => `No agent is running for ${dataDir}. Start it with: lai-agent run`;

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
