import { type AnswerChunk, type AnswerEvent, AnswerReader } from '@lai/shared/answer-stream';

/** The bytes of a node are not what their route says. Its message is for the log. */
export class UnreadableAnswer extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnreadableAnswer';
  }
}

/** The chunks in a runtime's bytes, for the surfaces and collectors that put them together. Throws UnreadableAnswer for anything else. */
export class ChunkReader {
  readonly #reader = new AnswerReader();
  readonly #decoder = new TextDecoder();

  push(bytes: Uint8Array): AnswerChunk[] {
    return this.#reader.push(this.#decoder.decode(bytes, { stream: true })).flatMap(chunkOf);
  }

  /** What is left when the stream ends without a final empty line. */
  finish(): AnswerChunk[] {
    return [...this.#reader.push(this.#decoder.decode()), ...this.#reader.finish()].flatMap(chunkOf);
  }
}

const chunkOf = (event: AnswerEvent): AnswerChunk[] => {
  switch (event.kind) {
    case 'chunk':
      return [event.chunk];
    case 'done':
      return [];
    case 'aborted':
      throw new UnreadableAnswer(`finish_reason ${event.reason}`);
    case 'error':
    case 'unreadable':
      throw new UnreadableAnswer(event.kind === 'error' ? 'an error among the chunks' : 'an event that is no chunk');
  }
};
