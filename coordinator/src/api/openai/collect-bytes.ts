/** Answers that runtimes give whole: the bytes as they came. */
export class BytesCollector {
  readonly #pieces: Uint8Array[] = [];

  push(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}
