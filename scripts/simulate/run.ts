import { type Break, groundFor } from './breaks.ts';
import { invariants } from './invariants/all.ts';
import type { Watch } from './invariants/invariant.ts';
import type { Plan, Step } from './plan/plan.ts';
import { probe } from './probe.ts';
import { Trace } from './trace.ts';
import { World } from './world.ts';

const LOOK_MS = 500;
/** A canceled attempt that nobody confirms ends after 5 s; a lease that nobody could give back, or is there to renew, after 15 s. */
const REST_MS = 6_500;
const LEASE_MS = 15_500;
/** Beyond the last deadline nothing should be left to wait for. */
const PATIENCE_MS = 30_000;

export interface RunResult {
  readonly seed: number;
  readonly profile: string;
  /** Of everything that happened; the same for the same plan, always. */
  readonly hash: string;
  readonly violations: readonly string[];
  readonly calls: number;
  readonly lines: readonly string[] | null;
}

/** One run of one plan, from its first step to rest. */
export const runPlan = async (plan: Plan, options: { break?: Break | null; keepsLines?: boolean } = {}): Promise<RunResult> => {
  const violations = new Set<string>();
  const watches: Watch[] = [];
  let trace: Trace | null = null;
  const onRejection = (error: unknown) => violations.add(`unhandled rejection: ${error instanceof Error ? error.stack : error}`);
  process.on('unhandledRejection', onRejection);
  try {
    const world = new World({
      plan,
      ground: groundFor(options.break ?? null),
      tell: ({ timeline }, happening) => {
        trace ??= new Trace({ keepsLines: options.keepsLines ?? false, startMs: timeline.startMs });
        trace.add(timeline.nowMs, happening);
        for (const watch of watches) watch.see?.(happening);
      },
    });
    for (const { name, watch } of invariants) {
      const violated = (what: string) => {
        violations.add(`${name}: ${what}`);
        trace?.lines?.push(`          !!! ${name}: ${what}`);
      };
      watches.push(watch(world, violated));
    }
    await live(world, watches);
    for (const watch of watches) watch.atRest?.();
    for (const what of await probe(world)) violations.add(what);
    const done = trace as Trace | null;
    return {
      ...{ seed: plan.seed, profile: plan.profile, hash: done?.hash ?? '', violations: [...violations] },
      ...{ calls: world.timeline.calls, lines: done?.lines ?? null },
    };
  } finally {
    process.off('unhandledRejection', onRejection);
  }
};

const live = async (world: World, watches: readonly Watch[]): Promise<void> => {
  const { timeline, plan } = world;
  const look = () => {
    for (const watch of watches) watch.look?.();
    timeline.after(LOOK_MS, look);
  };
  timeline.after(LOOK_MS, look);
  const troubleUntilMs = timeline.startMs + Math.max(0, ...plan.steps.map(endOf));
  await timeline.run(troubleUntilMs);
  const lastDeadlineMs = Math.max(
    0,
    ...plan.steps.map((step) => (step.kind === 'request' ? step.atMs + step.request.totalMs : 0)),
  );
  const isOver = () => world.clients.every((client) => client.isOver);
  await timeline.run(timeline.startMs + lastDeadlineMs + PATIENCE_MS, isOver);
  const mayHaveLost = Math.max(world.redis.lastTroubleAtMs, world.lastAbsenceAtMs) > timeline.startMs;
  await timeline.run(timeline.nowMs + (mayHaveLost ? LEASE_MS : REST_MS));
  // Somebody may just be looking whether there is something to take.
  await timeline.run(timeline.nowMs + LOOK_MS, () => world.isQuiet);
};

const endOf = (step: Step): number => step.atMs + ('forMs' in step ? step.forMs : 0);
