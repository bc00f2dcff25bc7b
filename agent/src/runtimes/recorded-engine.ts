import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type ScriptedEngine, startScriptedEngine } from './scripted-engine.ts';

const Recording = z.object({
  about: z.string(),
  exchanges: z.array(z.object({ call: z.string(), body: z.unknown(), status: z.number(), answer: z.string() })),
});
export type Recording = z.infer<typeof Recording>;

export const readRecording = (name: string): Recording =>
  Recording.parse(JSON.parse(readFileSync(new URL(`./__fixtures__/${name}.json`, import.meta.url), 'utf8')));

/** For tests: a program that gives the recorded answers of a real engine to the recorded requests, and to none else. */
export const startRecordedEngine = ({ exchanges }: Recording): Promise<ScriptedEngine> =>
  startScriptedEngine((path, body) => {
    const said = exchanges.find(
      ({ call, body: recorded }) => call.endsWith(` ${path}`) && JSON.stringify(recorded ?? {}) === JSON.stringify(body),
    );
    return said && { status: said.status, body: said.answer };
  });
