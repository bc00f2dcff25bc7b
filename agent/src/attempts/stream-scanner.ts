import type { Normaliser } from '@lai/shared/answer-normaliser';
import { AnswerScanner, type StreamEnding } from '@lai/shared/answer-scanner';
import type { ChunkKind, Usage } from '@lai/shared/attempt';

export type { StreamEnding } from '@lai/shared/answer-scanner';

export interface Piece {
  readonly kind: ChunkKind;
  readonly bytes: Uint8Array;
}

/** The scanner of answers, on bytes as engines send them. */
export class StreamScanner {
  readonly #scanner: AnswerScanner;

  constructor(normaliser: Normaliser | null = null) {
    this.#scanner = new AnswerScanner(normaliser);
  }

  push(bytes: Buffer): Piece[] {
    return this.#scanner.push(bytes.toString('latin1')).map(inBytes);
  }

  /** Call when the engine closed the stream; a last event without its empty line still counts. */
  finish(): { readonly pieces: readonly Piece[]; readonly ending: StreamEnding } {
    const { pieces, ending } = this.#scanner.finish();
    return { pieces: pieces.map(inBytes), ending };
  }

  get isTooLong(): boolean {
    return this.#scanner.isTooLong;
  }

  get hasFailed(): boolean {
    return this.#scanner.hasFailed;
  }

  get isDone(): boolean {
    return this.#scanner.isDone;
  }

  get usage(): Usage | null {
    return this.#scanner.usage;
  }
}

const inBytes = ({ kind, text }: { readonly kind: ChunkKind; readonly text: string }): Piece => ({
  kind,
  bytes: Buffer.from(text, 'latin1'),
});
