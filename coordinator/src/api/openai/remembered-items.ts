import type { ResponseItem } from '@lai/shared/responses';

/** As long as somebody may think about a tool's result; as much as is nobody's loss. */
const KEEP_MS = 60 * 60_000;
const LIMIT_BYTES = 32 * 1024 * 1024;

interface Remembered {
  readonly item: ResponseItem;
  readonly bytes: number;
  readonly untilMs: number;
}

/**
 * Items of our own answers, so that a client that stores (OpenAI's default; the AI SDK then sends mere references back) can go on
 * talking. Only in this process, only for a while, only for the key that was answered: whoever sends `store: false` needs none of it.
 * Single writer of itself; the oldest go first.
 */
export class RememberedItems {
  readonly #items = new Map<string, Remembered>();
  readonly #limitBytes: number;
  #bytes = 0;

  constructor({ limitBytes = LIMIT_BYTES }: { limitBytes?: number } = {}) {
    this.#limitBytes = limitBytes;
  }

  remember(keyId: string, items: readonly ResponseItem[], nowMs: number): void {
    for (const item of items) {
      const bytes = JSON.stringify(item).length;
      if (!item.id || bytes > this.#limitBytes) continue;
      this.#items.set(`${keyId} ${item.id}`, { item, bytes, untilMs: nowMs + KEEP_MS });
      this.#bytes += bytes;
    }
    for (const [id, { bytes, untilMs }] of this.#items) {
      if (this.#bytes <= this.#limitBytes && untilMs > nowMs) break;
      this.#items.delete(id);
      this.#bytes -= bytes;
    }
  }

  find(keyId: string, id: string, nowMs: number): ResponseItem | null {
    const known = this.#items.get(`${keyId} ${id}`);
    return known && known.untilMs > nowMs ? known.item : null;
  }
}
