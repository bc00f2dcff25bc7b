const SHARE = 0.2;
const FLOOR = 3;

/**
 * Retries in progress, at most a fifth of all requests (and always three): when everything fails, trying everything again makes it
 * worse. Single writer of its count.
 */
export class RetryBudget {
  readonly #requests: () => number;
  #retrying = 0;

  constructor(requests: () => number) {
    this.#requests = requests;
  }

  hasRoom(): boolean {
    return this.#retrying < Math.max(FLOOR, SHARE * this.#requests());
  }

  async during<T>(retry: () => Promise<T>): Promise<T> {
    this.#retrying += 1;
    try {
      return await retry();
    } finally {
      this.#retrying -= 1;
    }
  }
}
