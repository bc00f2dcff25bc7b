import { accessSync, constants, mkdirSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { openEngineRequest, readText } from '../runtimes/engine-http.ts';

const PROBE_LIMIT_MS = 1_500;

/** The version that answers at this address, `''` when it answers without telling one, null when nobody does. Never rejects. */
export const versionAt = async (url: URL, signal: AbortSignal = AbortSignal.timeout(PROBE_LIMIT_MS)): Promise<string | null> => {
  const text = await textAt(url, {}, signal);
  try {
    return text === null ? null : ((JSON.parse(text) as { version?: string }).version ?? '');
  } catch {
    return null;
  }
};

/** What this address says, at most 1 MB of it; null when nobody answers or the answer is a refusal. Never rejects. */
export const pageAt = async (url: URL, headers: Record<string, string> = {}): Promise<string | null> =>
  (await textAt(url, headers, AbortSignal.timeout(PROBE_LIMIT_MS)))?.replaceAll(/"\s*:\s*/g, '":') ?? null;

/** Not `fetch`: its first use costs 15 MB for good. */
const textAt = async (url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<string | null> => {
  try {
    const response = await openEngineRequest({ url, headers, signal });
    const text = await readText(response, 1_000_000);
    return response.statusCode === 200 ? text : null;
  } catch {
    return null;
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
