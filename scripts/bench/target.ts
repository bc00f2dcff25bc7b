import { createServer } from 'node:net';
import { MODEL, prompt } from './engine-answers.ts';
import type { Endpoint } from './load-spec.ts';
import { type Program, waitFor } from './program.ts';

/** Something that stands between a client and the engine, running. */
export interface Target extends Endpoint {
  readonly name: string;
  readonly version: string;
  /** By role; their CPU and memory are counted. */
  readonly pids: Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

/** What starting one needs. */
export interface Surroundings {
  readonly engineUrl: string;
  /** For files of this run; gone afterwards. */
  readonly folder: string;
  /** Programs fetched for benchmarks only; kept. */
  readonly cache: string;
}

/** A sentence instead of a target: this machine cannot have it. */
export type Started = Target | { readonly absent: string };

export const chatPath = '/v1/chat/completions';

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no free port'))));
    });
  });

/** Asks until there is a complete answer: the whole road is then there. */
export const waitForAnswer = async (name: string, endpoint: Endpoint, program: Program): Promise<void> => {
  let last = 'no answer';
  const ask = async (): Promise<true | null> => {
    try {
      const response = await fetch(endpoint.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...endpoint.headers },
        body: JSON.stringify({
          model: MODEL,
          max_tokens: 1,
          messages: [{ role: 'user', content: prompt({ tps: 0, firstTokenMs: 0 }) }],
        }),
        signal: AbortSignal.timeout(5_000),
      });
      const text = await response.text();
      last = `HTTP ${response.status} ${text.slice(0, 200)}`;
      return response.ok ? true : null;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
      return null;
    }
  };
  await waitFor(name, program, ask).catch((error: unknown) => {
    throw new Error(`${error instanceof Error ? error.message : error} (last answer: ${last})`);
  });
};
