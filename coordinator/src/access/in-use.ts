import type { Principal } from './principal.ts';

export interface Use {
  /** Aborted when the right to it is lost. */
  readonly signal: AbortSignal;
  /** Call it when the request is over. */
  end(): void;
}

/** Whether what is being done is still allowed to who asked for it. */
export type StillMay = (principal: Principal) => boolean;

/** Requests in progress, by what they were let in with (a key, a session), so that they can be stopped. Single writer of the list. */
export class InUse {
  readonly #requests = new Map<string, Map<AbortController, StillMay>>();

  begin(credential: string, stillMay: StillMay): Use {
    const request = new AbortController();
    const requests = this.#requests.get(credential) ?? new Map<AbortController, StillMay>();
    this.#requests.set(credential, requests.set(request, stillMay));
    return {
      signal: request.signal,
      end: () => {
        requests.delete(request);
        if (requests.size === 0 && this.#requests.get(credential) === requests) this.#requests.delete(credential);
      },
    };
  }

  /** Stops what its credential opens no longer, or no longer for this: a right may be lost without the key. */
  async recheck(find: (credential: string) => Promise<Principal | null>): Promise<void> {
    for (const [credential, requests] of [...this.#requests]) {
      const principal = await find(credential);
      for (const [request, stillMay] of requests) if (!principal || !stillMay(principal)) request.abort();
    }
  }
}
