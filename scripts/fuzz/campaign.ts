import fc from 'fast-check';

/** One property that is tried with many drawn inputs: small in `npm test`, at scale by `npm run fuzz`. */
export interface Campaign {
  /** What must hold, in one line for the usage text. */
  readonly about: string;
  /** Inputs to draw when nobody says how many. */
  readonly runs: number;
  /** Inputs that one trial takes together; 1 when not said. */
  readonly each?: number;
  property(): fc.IRawProperty<unknown>;
}

/** Lets a campaign keep the type of its inputs to itself. */
export const campaign = <Input>(options: {
  readonly about: string;
  readonly runs: number;
  readonly each?: number;
  readonly property: () => fc.IRawProperty<Input>;
}): Campaign => options as Campaign;

export interface Verdict {
  readonly runs: number;
  /** Null when the property held; otherwise the smallest input that broke it, and how to draw it again. */
  readonly violation: { readonly seed: number; readonly path: string | null; readonly report: string } | null;
}

export const runCampaign = async (
  { property, each = 1 }: Campaign,
  { runs, seed, path }: { runs: number; seed: number; path?: string | undefined },
): Promise<Verdict> => {
  const details = await fc.check(property(), { numRuns: Math.ceil(runs / each), seed, ...(path === undefined ? {} : { path }) });
  if (!details.failed) return { runs: details.numRuns * each, violation: null };
  const report = await fc.asyncDefaultReportMessage(details as fc.RunDetails<unknown>);
  return {
    runs: details.numRuns,
    violation: { seed: details.seed, path: details.counterexamplePath, report: `${report}\n${details.errorInstance}` },
  };
};
