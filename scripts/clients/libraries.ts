import { copyFileSync, globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from '../engines/command.ts';
import type { Feature, Outcome } from './matrix.ts';
import { LIBRARIES } from './packages.ts';

export interface Library {
  /** Its program in `libraries/`. */
  readonly program: string;
  readonly client: string;
  readonly version: string;
  readonly surface: string;
}

export const libraries: readonly Library[] = [
  { program: 'openai', client: 'openai', version: LIBRARIES.openai, surface: 'chat, Responses' },
  {
    program: 'ai-compatible',
    client: 'ai + @ai-sdk/openai-compatible',
    version: LIBRARIES['@ai-sdk/openai-compatible'],
    surface: 'chat',
  },
  { program: 'ai-openai', client: 'ai + @ai-sdk/openai', version: LIBRARIES['@ai-sdk/openai'], surface: 'Responses' },
  { program: 'langchain-openai', client: '@langchain/openai', version: LIBRARIES['@langchain/openai'], surface: 'chat' },
  { program: 'langchain-ollama', client: '@langchain/ollama', version: LIBRARIES['@langchain/ollama'], surface: 'Ollama' },
  { program: 'ollama', client: 'ollama', version: LIBRARIES.ollama, surface: 'Ollama' },
  { program: 'anthropic', client: '@anthropic-ai/sdk', version: LIBRARIES['@anthropic-ai/sdk'], surface: 'Messages' },
];

/** What a program is told. */
export interface Told {
  readonly url: string;
  readonly key: string;
  readonly model: string;
  readonly coldModel: string;
  /** Its answer is long enough to be broken off. */
  readonly slowModel: string;
  readonly embedder: string;
  /** Is in every answer. */
  readonly greeting: string;
  /** A prompt that does not fit. */
  readonly tooLong: string;
  /** The engine is a real one with a model that knows no words: what it says is not looked at. */
  readonly isReal: boolean;
  /** A PNG in base64. */
  readonly image: string;
}

/** Programs find packages from where they lie, so they are laid beside them. */
export const layOut = (folder: string): void => {
  for (const file of globSync('libraries/*.mjs', { cwd: import.meta.dirname })) {
    copyFileSync(join(import.meta.dirname, file), join(folder, basename(file)));
  }
};

export const runLibrary = async (options: {
  folder: string;
  program: string;
  features: readonly Feature[];
  told: Told;
  limitMs: number;
}): Promise<Partial<Record<Feature, Outcome>>> => {
  const { folder, program, features, told, limitMs } = options;
  const outcome = await run(process.execPath, ['run.mjs', program, features.join(',')], {
    cwd: folder,
    env: { LAI_CLIENT: JSON.stringify(told), NODE_NO_WARNINGS: '1' },
    limitMs,
  });
  const lines = outcome.stdout.split('\n').filter((line) => line.startsWith('{"feature"'));
  const outcomes = new Map(
    lines.map((line) => JSON.parse(line) as Outcome & { feature: Feature }).map((value) => [value.feature, value]),
  );
  const missing: Outcome = { outcome: 'failed', problem: `the program said nothing: ${outcome.lastLine}` };
  return Object.fromEntries(features.map((feature) => [feature, outcomes.get(feature) ?? missing]));
};
