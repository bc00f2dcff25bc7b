import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { LocalStatus } from '../../agent/src/local/local-status.ts';
import type { Fleet } from './fleet.ts';

/** The loopback door of one agent of a fleet, used as its owner's scripts would. */
export class AgentDoor {
  readonly dataDir: string;

  constructor(fleet: Fleet, name: string) {
    this.dataDir = join(fleet.directory, name);
  }

  async status(): Promise<LocalStatus> {
    return LocalStatus.parse(await (await this.#ask('GET', '/status')).json());
  }

  async gaming(mode: 'on' | 'off' | 'auto', time?: string): Promise<LocalStatus> {
    const response = await this.#ask('POST', '/gaming-mode', { mode, ...(time ? { for: time } : {}) });
    return LocalStatus.parse(await response.json());
  }

  async stopAll(): Promise<void> {
    await (await this.#ask('POST', '/stop-all')).text();
  }

  /** Waits for the agent to look so; says what it looked like when it does not. Times out in words. */
  async until(what: string, isSo: (status: LocalStatus) => boolean, limitMs = 15_000): Promise<LocalStatus> {
    const deadline = performance.now() + limitMs;
    let last: unknown = 'no answer';
    for (;;) {
      const status = await this.status().catch((error: unknown) => {
        last = error;
        return null;
      });
      if (status) {
        if (isSo(status)) return status;
        last = {
          engines: status.engines,
          gaming: status.snapshot.gaming,
          preemption: status.snapshot.preemption,
          models: status.snapshot.models,
        };
      }
      if (performance.now() > deadline) throw new Error(`after ${limitMs} ms not yet: ${what}\n${JSON.stringify(last, null, 1)}`);
      await pause(20);
    }
  }

  #ask(method: string, path: string, body?: unknown): Promise<Response> {
    const read = (name: string) => readFileSync(join(this.dataDir, name), 'utf8').trim();
    return fetch(`http://127.0.0.1:${read('local.port')}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${read('local.token')}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
}

/** What the card of a mock engine holds, by its own ledger. */
export const usedBytesAt = async (engineUrl: string): Promise<number> =>
  ((await (await fetch(`${engineUrl}/_mock/gpu`)).json()) as { usedBytes: number }).usedBytes;
