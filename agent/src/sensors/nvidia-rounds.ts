import type { Gpu } from '@lai/shared/node';
import { lostGpu } from './gpu-readings.ts';
import type { NamedCard, NvidiaLine } from './nvidia-csv.ts';

/** What a line changes: one card's reading, or the truth about all cards after a whole round. */
export type NvidiaNews = { kind: 'card'; gpu: Gpu } | { kind: 'round'; gpus: readonly Gpu[] };

type Round = { rows: Map<number, Gpu>; sentences: Set<string>; named: NamedCard[] };

const emptyRound = (): Round => ({ rows: new Map(), sentences: new Set(), named: [] });
const TOLD_SENTENCES = 3;

/**
 * Puts the lines of nvidia-smi together to rounds, one row for each card. A round ends where an index or a sentence comes again. A card
 * that loses its UUID, or its row, or is named in a sentence instead, stays the card it was. Single writer of `trouble`.
 */
export class NvidiaRounds {
  /** The last row of each card that could be read, by nvidia-smi's index. */
  readonly #known = new Map<number, Gpu>();
  #round = emptyRound();
  #trouble: string | null = null;

  /** What the last round, or the one under way if it is the first, has to complain of; null when all is well. */
  get trouble(): string | null {
    return this.#trouble;
  }

  take(line: NvidiaLine): readonly NvidiaNews[] {
    if (line.kind === 'noise') return [];
    const isNext = line.kind === 'reading' ? this.#round.rows.has(line.index) : this.#round.sentences.has(line.sentence);
    const news: NvidiaNews[] = isNext ? this.endRound() : [];
    if (line.kind === 'complaint') {
      this.#round.sentences.add(line.sentence);
      if (line.names) this.#round.named.push(line.names);
      this.#trouble ??= line.sentence;
      return news;
    }
    const gpu = this.#sameCard(line.index, line.gpu);
    this.#round.rows.set(line.index, gpu);
    if (gpu.isLost) this.#trouble ??= lostSentence(gpu, line.index);
    else this.#known.set(line.index, gpu);
    return [...news, { kind: 'card', gpu }];
  }

  /** Another program prints now; what the one before left unfinished says nothing of the cards it did not come to. */
  beginRound(): void {
    this.#round = emptyRound();
  }

  /** A round without any row says nothing of single cards: the driver does not answer, and readings grow stale. */
  endRound(): NvidiaNews[] {
    const { rows, sentences, named } = this.#round;
    this.#round = emptyRound();
    const missing = [...this.#known].filter(([index]) => rows.size > 0 && !rows.has(index));
    const lost = [...rows].filter(([, gpu]) => gpu.isLost);
    const complaints = [
      ...sentences,
      ...(sentences.size === 0 ? missing : []).map(
        ([index, gpu]) => `nvidia-smi does not list ${gpu.name} (card ${index}) any more.`,
      ),
      ...lost.map(([index, gpu]) => lostSentence(gpu, index)),
    ];
    this.#trouble = complaints.length === 0 ? null : complaints.slice(0, TOLD_SENTENCES).join(' ');
    if (rows.size === 0) return [];
    const gone = missing.map(([, gpu]) => lostGpu(gpu));
    return [{ kind: 'round', gpus: [...rows.values(), ...gone, ...unknownCards(named, rows, this.#known, missing.length)] }];
  }

  /** A row that lost its UUID is the card that had this index. */
  #sameCard(index: number, gpu: Gpu): Gpu {
    const before = this.#known.get(index);
    if (gpu.isLost) return lostGpu(before ?? gpu);
    return before !== undefined && gpu.id === `nvidia-${index}` ? { ...gpu, id: before.id } : gpu;
  }
}

/** Cards that only a sentence tells of; a bus address may be that of a card that is missing, which is shown already. */
const unknownCards = (
  named: readonly NamedCard[],
  rows: ReadonlyMap<number, Gpu>,
  known: ReadonlyMap<number, Gpu>,
  missingCount: number,
): Gpu[] =>
  named
    .filter(({ index }) => (index === null ? missingCount === 0 : !rows.has(index) && !known.has(index)))
    .map(({ index, bus }) => ({
      ...lostGpu({
        id: `nvidia-${index ?? bus}`,
        name: 'NVIDIA GPU',
        vendor: 'nvidia',
        isUnifiedMemory: false,
        vramTotalBytes: null,
        vramUsedBytes: null,
        vramFreeBytes: null,
        utilization: null,
        temperatureCelsius: null,
        powerWatts: null,
        driverVersion: null,
      }),
    }));

const lostSentence = (gpu: Gpu, index: number): string =>
  `nvidia-smi says that ${gpu.name} (card ${index}) is lost. Restart the machine to get it back.`;
