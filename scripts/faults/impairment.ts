import type { Random } from './random.ts';

/** What a direction of a connection does to the bytes that pass. */
export interface Impairment {
  readonly delayMs: number;
  /** Each segment comes up to this much earlier or later; never out of order, since this is TCP. */
  readonly jitterMs: number;
  readonly bytesPerSecond: number;
  /** Nothing passes, not even the end of the connection; what was held passes when this is lifted. */
  readonly isBlackHole: boolean;
  /**
   * Share of segments that get lost. TCP sends them again, so whoever reads sees a stall, and everything behind it waits: 200 ms (Linux's
   * least retransmission timeout), doubled each time it is lost again.
   */
  readonly lossShare: number;
  /** Pieces of at most this size, each in a write of its own. */
  readonly sliceBytes: number;
  /** Share of segments in which one bit is turned. */
  readonly flipShare: number;
}

export const CLEAR: Impairment = {
  delayMs: 0,
  jitterMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  isBlackHole: false,
  lossShare: 0,
  sliceBytes: Number.POSITIVE_INFINITY,
  flipShare: 0,
};

export const SEGMENT_BYTES = 1_448;
const RETRANSMIT_MS = 200;
const MOST_RETRANSMITS = 8;

export const isClear = (impairment: Impairment): boolean =>
  (Object.keys(CLEAR) as (keyof Impairment)[]).every((name) => impairment[name] === CLEAR[name]);

/** The pieces in which bytes travel; each may be delayed, lost and hurt on its own. */
export const segmentsOf = (bytes: Buffer, impairment: Impairment): Buffer[] => {
  const size = Math.min(
    impairment.sliceBytes,
    impairment.lossShare > 0 || impairment.flipShare > 0 ? SEGMENT_BYTES : bytes.length,
  );
  if (size >= bytes.length) return [bytes];
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
};

/** How long a segment occupies the line; the next one is sent after it. */
export const sendingMs = (segment: Buffer, impairment: Impairment): number =>
  (segment.length / impairment.bytesPerSecond) * 1_000;

/** How long a segment is under way once it is sent; the next one is under way at the same time. */
export const travelMs = (impairment: Impairment, random: Random): number => {
  const jitterMs = impairment.jitterMs === 0 ? 0 : (2 * random.next() - 1) * impairment.jitterMs;
  let stallMs = 0;
  for (let losses = 0; losses < MOST_RETRANSMITS && impairment.lossShare > random.next(); losses += 1)
    stallMs += RETRANSMIT_MS * 2 ** losses;
  return Math.max(0, impairment.delayMs + jitterMs) + stallMs;
};

/** The segment as it arrives. */
export const hurt = (segment: Buffer, impairment: Impairment, random: Random): Buffer => {
  if (impairment.flipShare <= random.next()) return segment;
  const copy = Buffer.from(segment);
  const at = random.between(0, copy.length - 1);
  copy[at] = (copy[at] ?? 0) ^ (1 << random.between(0, 7));
  return copy;
};
