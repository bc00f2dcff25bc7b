import { closeBooks, type Gauges, readGauges } from './closing.ts';
import type { Figure } from './figures.ts';
import type { History } from './history.ts';
import type { Household } from './household.ts';
import type { Random } from './random.ts';
import { MODEL, Stage, type StageOptions } from './stage.ts';

/** What a fault is given to run with. */
export interface FaultRun {
  /** How many times the fault is to happen. */
  readonly count: number;
  readonly random: Random;
  readonly history: History;
  readonly household: Household;
  readonly say: (words: string) => void;
}

export interface Outcome {
  /** What was really injected, if not the count that was asked for. */
  readonly count?: number;
  readonly figures: readonly Figure[];
  /** Requests or jobs that should have been answered and were not. */
  readonly lost: number;
  /** What was wrong, as sentences; what the checker finds is added to them. */
  readonly misses: readonly string[];
  readonly notes?: readonly string[];
}

/** One row of the fault table. */
export interface Fault {
  readonly id: string;
  readonly title: string;
  /** What is counted. */
  readonly unit: string;
  /** How many at `--scale 1`. */
  readonly base: number;
  /** Never fewer than this, however small the scale. */
  readonly least?: number;
  /** Why it cannot run on this machine; null when it can. */
  readonly obstacle?: () => Promise<string | null>;
  /** Leaves the machine to others most of its time. Those that do are played side by side, after all others. */
  readonly isPatient?: true;
  readonly run: (run: FaultRun) => Promise<Outcome>;
}

const WARM_UP_REQUESTS = 12;

/** Opens a stage, lets it answer a few requests, plays, and looks at what is left. */
export const onStage = async <T>(run: FaultRun, options: StageOptions, play: (stage: Stage) => Promise<T>): Promise<T> => {
  const stage = await openInTurn(run, options);
  try {
    const before = await warmUp(stage);
    const result = await play(stage);
    await closeBooks(stage, before);
    return result;
  } finally {
    await stage.close();
  }
};

let lastOpening: Promise<unknown> = Promise.resolve();

/** Where several are to be opened: twenty programs that start take the machine from those that are measured. */
const openInTurn = (run: FaultRun, options: StageOptions): Promise<Stage> => {
  const opening = lastOpening.then(() => Stage.open(run, options));
  lastOpening = opening.catch(() => {});
  return opening;
};

/** Baselines are taken of processes that have worked already. */
const warmUp = async (stage: Stage): Promise<Gauges> => {
  const doors = stage.replicas.map(({ url }) => url);
  const told = await Promise.all(
    Array.from({ length: WARM_UP_REQUESTS }, (_, index) =>
      stage.ask({
        marker: `r-warm-${index}`,
        maxTokens: 4,
        url: doors[index % doors.length] ?? stage.url,
        model: stage.warmModels[index % stage.warmModels.length] ?? MODEL,
      }),
    ),
  );
  const failed = told.find(({ ending }) => ending.type !== 'ok');
  if (failed) throw new Error(`the fleet does not even answer when left alone: ${JSON.stringify(failed.ending)}`);
  return readGauges(stage);
};
