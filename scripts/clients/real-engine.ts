import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Fleet } from '../e2e/fleet.ts';
import { ensureSteadyModel, ensureTinyModels } from '../engines/gguf.ts';
import { findLlamaServer } from '../engines/llama-server.ts';
import { type Library, layOut, runLibrary, type Told } from './libraries.ts';
import type { Feature, Outcome, Row } from './matrix.ts';
import { installed, LIBRARIES } from './packages.ts';

/** What a model that knows no words can show: tools and images need one that does. */
const REAL_FEATURES: readonly Feature[] = ['text', 'streaming', 'embeddings', 'errors', 'cancel'];
const LIBRARY_LIMIT_MS = 120_000;
const ABORT_LIMIT_MS = 5_000;

export interface RealRun {
  readonly engine: string;
  readonly rows: readonly Row[];
}

/** The libraries once more, with a real llama-server and its tiny models on the node. Says why when there is none here. */
export const tryRealEngine = async (libraries: readonly Library[]): Promise<RealRun | { readonly missing: string }> => {
  const found = await findLlamaServer();
  if ('missing' in found) return found;
  const folder = await installed(LIBRARIES);
  layOut(folder);
  const models = mkdtempSync(join(tmpdir(), 'lai-models-'));
  ensureTinyModels(models);
  ensureSteadyModel(models);
  const fleet = await Fleet.start({
    nodes: [
      {
        name: 'real',
        models: '',
        agentArgs: ['--runtime', 'llama-server', '--models-dir', models],
        agentEnv: { PATH: [dirname(found.path), process.env['PATH']].join(delimiter) },
      },
    ],
  });
  try {
    const rows: Row[] = [];
    for (const { program, ...library } of libraries) {
      const outcomes = await runLibrary({
        folder,
        program,
        features: REAL_FEATURES,
        told: toldOf(fleet),
        limitMs: LIBRARY_LIMIT_MS,
      });
      const { cancel } = outcomes;
      rows.push({ ...library, outcomes: { ...outcomes, ...(cancel ? { cancel: await withFreeSlots(fleet, cancel) } : {}) } });
    }
    return { engine: `llama-server ${found.version}`, rows };
  } finally {
    await fleet.stop();
    rmSync(models, { recursive: true, force: true });
  }
};

const toldOf = (fleet: Fleet): Told => ({
  ...{ url: fleet.url, key: fleet.key, model: 'tiny-chat', coldModel: 'tiny-chat', slowModel: 'steady', embedder: 'tiny-embed' },
  ...{ greeting: '', image: '', tooLong: 'word '.repeat(6_000), isReal: true },
});

/** A client that hung up must have freed the engine's slot. */
const withFreeSlots = async (fleet: Fleet, cancel: Outcome): Promise<Outcome> => {
  if (cancel.outcome !== 'ok') return cancel;
  const deadline = performance.now() + ABORT_LIMIT_MS;
  while (performance.now() < deadline) {
    const { nodes } = await fleet.status();
    if (nodes.every(({ snapshot }) => snapshot?.inFlight === 0)) return cancel;
    await pause(50);
  }
  return { outcome: 'failed', problem: 'the engine went on generating' };
};
