import type { ServerResponse } from 'node:http';
import { CodedError } from '@lai/shared/errors';
import type { FeedEvent, FeedEventName } from '@lai/shared/fleet-api';

const MOST_LISTENERS = 60;
/** Of one session or key: a browser opens one for all its tabs. */
const MOST_PER_CREDENTIAL = 4;
/** Who reads more slowly than the fleet changes is hung up on, and comes back to the level. */
const MOST_UNSENT_BYTES = 4 * 1024 * 1024;

export const sse = (event: string, json: string): string => `event: ${event}\ndata: ${json}\n\n`;
export const sseOf = <Name extends FeedEventName>(event: Name, data: FeedEvent<Name>): string => sse(event, JSON.stringify(data));

/** Who watches. Single writer of the list. */
export class Listeners {
  readonly #responses = new Map<ServerResponse, string>();

  get size(): number {
    return this.#responses.size;
  }

  /** Throws when there are too many; `first` is what it gets before anything else. */
  add(response: ServerResponse, credential: string, first: string): void {
    const own = [...this.#responses.values()].filter((other) => other === credential).length;
    if (this.size >= MOST_LISTENERS || own >= MOST_PER_CREDENTIAL)
      throw new CodedError('rate_limit_exceeded', {
        message: `Too many watch the fleet: ${MOST_PER_CREDENTIAL} connections of one session, ${MOST_LISTENERS} in all.`,
        retryAfterSeconds: 10,
      });
    this.#responses.set(response, credential);
    response.once('close', () => this.#responses.delete(response));
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    response.write(first);
  }

  /** The same bytes for everybody. */
  say(text: string): void {
    if (text === '' || this.size === 0) return;
    const bytes = Buffer.from(text);
    for (const response of this.#responses.keys()) {
      if (response.writableLength > MOST_UNSENT_BYTES) response.destroy();
      else response.write(bytes);
    }
  }

  /** Says why, and hangs up. */
  end(response: ServerResponse, reason: FeedEvent<'bye'>['reason']): void {
    if (!this.#responses.delete(response)) return;
    response.end(sseOf('bye', { reason }));
    // Who does not read is not waited for.
    setTimeout(() => response.destroy(), 500).unref();
  }

  close(): void {
    for (const response of [...this.#responses.keys()]) this.end(response, 'shutting_down');
  }
}
