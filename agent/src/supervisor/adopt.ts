import { accessSync, constants, mkdirSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { openEngineRequest, readText } from '../runtimes/engine-http.ts';

const PROBE_LIMIT_MS = 1_500;

/** The version that answers at this address, `''` when it answers without telling one, null when nobody does. Never rejects. */
export const versionAt = async (url: URL, signal: AbortSignal = AbortSignal.timeout(PROBE_LIMIT_MS)): Promise<string | null> => {
  const answer = await answerAt(url, {}, signal);
  return answer.kind === 'page' ? versionIn(answer.text) : null;
};

/** `''` where it tells none, null where it is not such an answer at all. */
export const versionIn = (text: string): string | null => {
  try {
    return (JSON.parse(text) as { version?: string }).version ?? '';
  } catch {
    return null;
  }
};

/** What an address says, at most 1 MB of it; `refused` when it wants a key; `nothing` otherwise. */
export type Answer =
  | { readonly kind: 'page'; readonly text: string }
  | { readonly kind: 'refused' }
  | { readonly kind: 'nothing' };

/** Never rejects. JSON comes without spaces after its colons. */
export const pageAt = async (url: URL, headers: Record<string, string> = {}): Promise<Answer> => {
  const answer = await answerAt(url, headers, AbortSignal.timeout(PROBE_LIMIT_MS));
  return answer.kind === 'page' ? { kind: 'page', text: answer.text.replaceAll(/"\s*:\s*/g, '":') } : answer;
};

/** Not `fetch`: its first use costs 15 MB for good. */
const answerAt = async (url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<Answer> => {
  try {
    const response = await openEngineRequest({ url, headers, signal });
    const text = await readText(response, 1_000_000);
    if (response.statusCode === 401 || response.statusCode === 403) return { kind: 'refused' };
    return response.statusCode === 200 ? { kind: 'page', text } : { kind: 'nothing' };
  } catch {
    return { kind: 'nothing' };
  }
};

export const onPath = (program: string, searchPath = process.env['PATH'] ?? ''): string | null => {
  for (const directory of searchPath.split(delimiter)) {
    for (const name of process.platform === 'win32' ? [`${program}.exe`] : [program]) {
      try {
        accessSync(join(directory, name), constants.X_OK);
        return join(directory, name);
      } catch {
        // not here
      }
    }
  }
  return null;
};

/** The folder itself; made when it is not there, so that its owner finds where to put models. */
export const modelsFolder = (directory: string): string => {
  mkdirSync(directory, { recursive: true });
  return directory;
};

export const ggufFiles = (directory: string): string[] =>
  readdirSync(modelsFolder(directory)).filter((name) => name.endsWith('.gguf'));

/** A port that was free a moment ago, on loopback. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
