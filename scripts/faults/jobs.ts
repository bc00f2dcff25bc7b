import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { bodyOf } from './asking.ts';
import { MODEL, type Stage } from './stage.ts';

const SUBMIT_LIMIT_MS = 5_000;
const MOST_TRIES = 40;
/** So many clients submit their job a second time under its key, as if they had not heard the answer. */
const REPEATED_ONE_IN = 8;
const READERS = 8;
const TERMINAL = new Set(['completed', 'failed', 'canceled']);

interface JobView {
  readonly id: string;
  readonly status: string;
  readonly created_at: number;
  readonly finished_at: number | null;
  readonly result: unknown;
  readonly error: { readonly code: string } | null;
}

/** What a client of asynchronous jobs was promised, and what it got. */
export interface JobsSeen {
  readonly accepted: ReadonlyMap<string, string>;
  /** Submissions that were never accepted, however often they were tried. */
  readonly refused: number;
  /** How long it took from the first try to 202. */
  readonly submitMs: readonly number[];
  /** Jobs that one idempotency key was given, when it was more than one. */
  readonly forked: readonly string[];
}

/** Submits jobs at a pace, each under an idempotency key, and again under the same key until it is accepted. */
export const submitJobs = async (
  stage: Stage,
  { prefix, perSecond, isOver }: { prefix: string; perSecond: number; isOver: () => boolean },
): Promise<JobsSeen> => {
  const accepted = new Map<string, string>();
  const submitMs: number[] = [];
  const forked: string[] = [];
  const submissions: Promise<boolean>[] = [];
  const submit = async (index: number): Promise<boolean> => {
    const name = `${prefix}-${index}`;
    const startedMs = performance.now();
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const id = await submitOnce(stage, name, stage.replicas[tries % stage.replicas.length]?.url ?? stage.url);
      if (id !== null) {
        accepted.set(name, id);
        submitMs.push(performance.now() - startedMs);
        stage.history.add({ type: 'info', what: 'job.accepted', job: id });
        if (index % REPEATED_ONE_IN > 0) return true;
        const again = await submitOnce(stage, name, stage.url);
        if (again !== null && again !== id) forked.push(`${name}: ${id} and ${again}`);
        return true;
      }
      await pause(100);
    }
    return false;
  };
  const startedMs = performance.now();
  while (!isOver()) {
    const due = Math.floor(((performance.now() - startedMs) / 1_000) * perSecond);
    while (submissions.length < due) submissions.push(submit(submissions.length));
    await pause(10);
  }
  const refused = (await Promise.all(submissions)).filter((isAccepted) => !isAccepted).length;
  return { accepted, refused, submitMs, forked };
};

const submitOnce = async (stage: Stage, name: string, url: string): Promise<string | null> => {
  try {
    const response = await fetch(`${url}/v1/jobs`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${stage.household.key}`,
        'content-type': 'application/json',
        'idempotency-key': name,
      },
      body: JSON.stringify({
        ...bodyOf({ marker: `r-${name}`, model: MODEL, maxTokens: 6 }),
        stream: false,
        stream_options: undefined,
      }),
      signal: AbortSignal.timeout(SUBMIT_LIMIT_MS),
    });
    return response.status === 202 ? ((await response.json()) as JobView).id : null;
  } catch {
    return null;
  }
};

/** What became of accepted jobs: those that did not complete, as sentences, and how long the others took by the product's own clock (whole seconds). */
export interface JobsSettled {
  readonly wrong: readonly string[];
  readonly tookMs: readonly number[];
}

/** Waits for every accepted job to end and writes its end down, twice, because it must not change. */
export const settleJobs = async (stage: Stage, jobs: Iterable<string>, limitMs = 60_000): Promise<JobsSettled> => {
  const deadline = performance.now() + limitMs;
  const wrong: string[] = [];
  const tookMs: number[] = [];
  const waiting = [...jobs];
  const watchNext = async (): Promise<void> => {
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      const first = await endOf(stage, id, deadline);
      if (!first) {
        wrong.push(`job ${id} had not ended after ${Math.round(limitMs / 1_000)} s`);
        continue;
      }
      const second = await endOf(stage, id, deadline);
      for (const view of [first, second ?? first])
        stage.history.add({ type: 'info', what: 'job.ended', job: id, state: view.status, result: digest(view.result) });
      if (first.status !== 'completed') wrong.push(`job ${id} ended as ${first.status} ${first.error?.code ?? ''}`);
      else if (first.finished_at !== null) tookMs.push((first.finished_at - first.created_at) * 1_000);
    }
  };
  await Promise.all(Array.from({ length: READERS }, watchNext));
  return { wrong, tookMs };
};

const endOf = async (stage: Stage, id: string, deadline: number): Promise<JobView | null> => {
  while (performance.now() < deadline) {
    const view = await read(stage, id);
    if (view && TERMINAL.has(view.status)) return view;
    await pause(100);
  }
  return null;
};

const read = async (stage: Stage, id: string): Promise<JobView | null> => {
  try {
    const response = await fetch(`${stage.url}/v1/jobs/${id}`, {
      headers: { authorization: `Bearer ${stage.household.key}` },
      signal: AbortSignal.timeout(SUBMIT_LIMIT_MS),
    });
    return response.ok ? ((await response.json()) as JobView) : null;
  } catch {
    return null;
  }
};

const digest = (result: unknown): string => createHash('sha256').update(JSON.stringify(result)).digest('hex').slice(0, 16);
