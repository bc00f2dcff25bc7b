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

  /** Null when there are enough already. Called when the retry has ended, the returned function gives its place back. */
  take(): (() => void) | null {
    if (this.#retrying >= Math.max(FLOOR, SHARE * this.#requests())) return null;
    this.#retrying += 1;
    return () => {
      this.#retrying -= 1;
    };
  }
}
