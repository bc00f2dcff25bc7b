/** A load that fails says why within this many lines, also where every worker of it prints where it was. */
const KEPT = 500;
const LINE_CHARACTERS = 300;

/** The last that an engine said, for whoever wants to know what it said since a moment. Single writer of its lines. */
export class LastLines {
  readonly #lines: string[] = [];
  #count = 0;

  add(line: string): void {
    this.#count += 1;
    this.#lines.push(line.slice(0, LINE_CHARACTERS));
    if (this.#lines.length > KEPT) this.#lines.shift();
  }

  /** What it gives back tells the lines from now on, as far as they are still kept. */
  listen(): () => readonly string[] {
    const from = this.#count;
    return () => this.#lines.slice(Math.max(0, this.#lines.length - (this.#count - from)));
  }
}
