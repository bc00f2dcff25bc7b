/** One thing that an installation needs. Doing it twice is doing it once: what is done already is found by looking, not by remembering. */
export interface Step {
  /** For people: "switch to version 0.2.0". */
  readonly what: string;
  readonly isDone: () => boolean | Promise<boolean>;
  readonly act: () => void | Promise<void>;
}

/** Does what is not done yet, in order, and says so. What it did (or, when nothing may be changed, would do). */
export const doSteps = async (
  steps: readonly Step[],
  { isDryRun, say }: { isDryRun: boolean; say: (line: string) => void },
): Promise<Step[]> => {
  const done: Step[] = [];
  for (const step of steps) {
    let isDone: boolean;
    try {
      isDone = await step.isDone();
    } catch (error) {
      if (!isDryRun || !['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      say(`may have to ${step.what}: only root can look`);
      continue;
    }
    if (isDone) continue;
    say(isDryRun ? `would ${step.what}` : step.what);
    if (!isDryRun) await step.act();
    done.push(step);
  }
  return done;
};
