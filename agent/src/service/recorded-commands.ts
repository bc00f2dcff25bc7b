import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ran, RunCommand } from './service.ts';

/**
 * Transcripts of commands, for systems that no test can run on. A file reads like a terminal:
 *
 *   $ launchctl print system/dev.lai.agent      what must be run: program and arguments, each exactly this; 'quoted' where it has spaces
 *   < 113                                       its exit code, when it is not 0
 *   > text                                      a line of its output
 *   ! text                                      a line of its complaints
 *   # text                                      where this is from
 *
 * `{name}` stands for a value of the test. A command that is not the next one fails, and so does one that was never run.
 */
export interface Recording {
  readonly run: RunCommand;
  /** What was expected and has not been run. */
  left(): string[];
}

interface Step extends Ran {
  readonly line: string;
  readonly words: readonly string[];
}

export const recording = (folder: string, name: string, values: Readonly<Record<string, string>> = {}): Recording =>
  playback(readFileSync(join(import.meta.dirname, '__transcripts__', folder, `${name}.txt`), 'utf8'), values);

export const playback = (text: string, values: Readonly<Record<string, string>> = {}): Recording => {
  const fill = (word: string) => word.replace(/\{(\w+)\}/g, (whole, key: string) => values[key] ?? whole);
  const steps = stepsIn(text).map((step) => ({ ...step, words: step.words.map(fill), stdout: fill(step.stdout) }));
  return {
    run: async (program, args) => {
      const step = steps.shift();
      const words = [program, ...args];
      if (step === undefined || JSON.stringify(step.words) !== JSON.stringify(words))
        throw new Error(`ran      ${words.map(quoted).join(' ')}\nexpected ${step?.line ?? 'nothing more'}`);
      return { code: step.code, stdout: step.stdout, stderr: step.stderr };
    },
    left: () => steps.map(({ line }) => line),
  };
};

const stepsIn = (text: string): Step[] => {
  const steps: Step[] = [];
  for (const line of text.split('\n')) {
    const [mark, rest] = [line.slice(0, 2), line.slice(2)];
    const last = steps.at(-1);
    if (mark === '$ ') steps.push({ line: rest, words: wordsIn(rest), code: 0, stdout: '', stderr: '' });
    else if (mark.startsWith('#') || line === '') continue;
    else if (last === undefined) throw new Error(`a transcript begins with a command, not with: ${line}`);
    else if (mark === '< ') steps[steps.length - 1] = { ...last, code: Number(rest) };
    else if (mark.startsWith('>')) steps[steps.length - 1] = { ...last, stdout: `${last.stdout}${rest}\n` };
    else if (mark.startsWith('!')) steps[steps.length - 1] = { ...last, stderr: `${last.stderr}${rest}\n` };
    else throw new Error(`not a line of a transcript: ${line}`);
  }
  return steps;
};

const wordsIn = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, inQuotes, plain]) => inQuotes ?? plain ?? '');

const quoted = (word: string): string => (/^[^\s']+$/.test(word) ? word : `'${word}'`);
