import { CodedError } from '../../shared/src/errors.ts';
import { SURFACES } from '../fuzz/surfaces.ts';
import type { Shape } from './shapes.ts';

/** Ten ticks of a slow clock. */
const LEAST_MS = 40;

export interface Cost {
  readonly surface: string;
  readonly shape: string;
  readonly bytes: number;
  /** CPU time from the client's bytes to the engine's: the median of `times` runs. */
  readonly ms: number;
  /** What `JSON.parse` alone takes for the same bytes. */
  readonly parseMs: number;
  /** The code with which the body was refused. */
  readonly refused: string | null;
}

export const costOf = (shape: Shape, surface: string, { bytes, times }: { bytes: number; times: number }): Cost => {
  const body = Buffer.from(shape.body(bytes));
  const ask = SURFACES[surface];
  if (!ask) throw new Error(`There is no surface ${surface}.`);
  let refused: string | null = null;
  const ms = medianOf(times, () => {
    refused = refusalOf(() => ask(body).bodyFor('model:1b'));
  });
  const parseMs = medianOf(times, () => refusalOf(() => JSON.parse(body.toString())));
  return { surface, shape: shape.name, bytes: body.length, ms, parseMs, refused };
};

/** Each try is repeated until the clock of the thread, which may tick every 4 ms only, can tell its length. */
const medianOf = (times: number, run: () => void): number => {
  const tries = Array.from({ length: times }, () => {
    const before = threadMs();
    let runs = 0;
    let taken = 0;
    for (; taken < LEAST_MS; taken = threadMs() - before) {
      run();
      runs += 1;
    }
    return taken / runs;
  });
  return tries.sort((a, b) => a - b)[Math.floor(times / 2)] ?? 0;
};

/** What this thread has computed: other programs on the machine do not count. */
const threadMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
};

const refusalOf = (run: () => unknown): string | null => {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof CodedError && error.code !== 'internal_error') return error.code;
    if (error instanceof SyntaxError) return 'invalid_json';
    throw error;
  }
};
