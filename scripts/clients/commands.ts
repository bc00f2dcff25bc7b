import { setTimeout as pause } from 'node:timers/promises';
import type { Command, Target } from './command-programs.ts';
import { withCommand } from './command-run.ts';
import type { ClientEngine } from './engine.ts';
import { TOOL_RAN } from './engine-tools.ts';
import type { Feature, Outcome, Row } from './matrix.ts';
import { installed, installedFromPyPI } from './packages.ts';

const RUN_LIMIT_MS = 60_000;
/** Until a program that is to be cancelled has begun. */
const BEGIN_LIMIT_MS = 30_000;
const INTERRUPT_LIMIT_MS = 5_000;

export interface CommandTrial {
  readonly engine: ClientEngine;
  readonly target: Target & { readonly coldModel: string };
  readonly greeting: string;
  /** A PNG in base64. */
  readonly image: string;
  readonly holdMs: number;
  /** Waits for the engine to have noticed that the client hung up. */
  confirmAbort(abortedBefore: number, outcome: Outcome | undefined): Promise<Outcome | undefined>;
}

/** More than one word: some programs take a single one for a command of theirs. */
const HELLO = 'Say hello to me, please.';

type Says = (prompt: string, expected: RegExp, more?: { model?: string; image?: string; limitMs?: number }) => Promise<Outcome>;

/** Every feature of one command-line program, one after another, each run in a home of its own. */
export const runCommand = async (command: Command, trial: CommandTrial): Promise<Row> => {
  const { client, version, surface } = command;
  let folder: string;
  try {
    folder = await (command.isPython ? installedFromPyPI : installed)(command.packages);
  } catch (error) {
    return { client, version, surface, outcomes: {}, skipped: error instanceof Error ? error.message : String(error) };
  }
  const { target, engine } = trial;
  const says: Says = (prompt, expected, { model = target.model, image, limitMs = RUN_LIMIT_MS } = {}) =>
    outcomeOf(() =>
      withCommand({ folder, command, target: { ...target, model }, prompt, image: image ?? null }, async (running) => {
        await running.finish(limitMs);
        if (!expected.test(running.text)) throw new Error(`it did not say ${expected}: …${running.lastWords}`);
      }),
    );
  const greeting = new RegExp(trial.greeting.replaceAll('.', '\\.'));
  const text = await says(HELLO, greeting);
  const outcomes: Partial<Record<Feature, Outcome>> = {
    text,
    // They always ask for a stream; `cancel` breaks one off.
    streaming: text,
    ...(command.callsNoTools
      ? {}
      : { tools: await says('Use the TOOL now, please.', new RegExp(`The tool said[^]*${TOOL_RAN}`)) }),
    ...(command.takesImages ? { image: await says('What is in this picture?', /I see 1 image/, { image: trial.image }) } : {}),
    errors: await bothErrors(says, command.saysTooLong),
    hold: await says(HELLO, greeting, { model: target.coldModel, limitMs: RUN_LIMIT_MS + trial.holdMs }),
  };
  const abortedBefore = engine.log.aborted;
  const interrupted = await outcomeOf(() => interruptOne({ folder, command, target, engine }));
  const cancel = await trial.confirmAbort(abortedBefore, interrupted);
  return { client, version, surface, outcomes: { ...outcomes, ...(cancel ? { cancel } : {}) } };
};

const bothErrors = async (says: Says, saysTooLong: RegExp): Promise<Outcome> => {
  // Claude Code says it in its own words, the others in ours.
  const unknown = await says(HELLO, /No node has a model .?"nope|issue with the selected model \(nope\)/, { model: 'nope' });
  return unknown.outcome === 'ok' ? says('This is TOOLONG for you.', saysTooLong) : unknown;
};

const interruptOne = (run: { folder: string; command: Command; target: Target; engine: ClientEngine }): Promise<void> =>
  withCommand({ ...run, prompt: 'Be SLOW now, please.', image: null }, async (running) => {
    const deadline = performance.now() + BEGIN_LIMIT_MS;
    while (run.engine.log.streaming === 0) {
      if (performance.now() > deadline) throw new Error(`it never began: …${running.lastWords}`);
      await pause(50);
    }
    running.interrupt();
    // Whoever asks "really?" is not waited for.
    await Promise.race([running.ended, pause(INTERRUPT_LIMIT_MS)]);
  });

const outcomeOf = async (run: () => Promise<void>): Promise<Outcome> => {
  const startedAtMs = performance.now();
  try {
    await run();
    return { outcome: 'ok', ms: Math.round(performance.now() - startedAtMs) };
  } catch (error) {
    return { outcome: 'failed', problem: error instanceof Error ? error.message : String(error) };
  }
};
