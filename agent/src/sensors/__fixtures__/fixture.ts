import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { probeEnv } from '../gpu.ts';
import { PROBE_TIMING, type ProbeEnv } from '../gpu-probe.ts';

const FOLDER = import.meta.dirname;

export const fixture = (name: string): Promise<string> => readFile(path.join(FOLDER, name), 'utf8');
export const fixtureLines = async (name: string): Promise<string[]> =>
  (await fixture(name)).split(/\r?\n/).filter((l) => l !== '');
export const fixturePath = (name: string): string => path.join(FOLDER, name);

/** PATH with the stand-in programs first; Node's own folder because they are Node scripts. */
export const programsPath = [path.join(FOLDER, 'programs'), path.dirname(process.execPath), '/usr/bin', '/bin'].join(':');

/** Real proportions, a hundred times faster, so that restarts and deadlines happen within a test. */
export const fastTiming = {
  ...PROBE_TIMING,
  sampleEveryMs: 50,
  staleAfterMs: 2_000,
  silenceMs: 1_500,
  detectMs: 4_000,
  restartBaseMs: 10,
  restartCapMs: 200,
  processesDeadlineMs: 2_000,
  processesCacheMs: 5_000,
};

export const fixtureEnv = (changes: Partial<ProbeEnv> = {}): ProbeEnv =>
  probeEnv({
    platform: 'linux',
    environment: { PATH: programsPath },
    mockEngineUrl: null,
    timing: fastTiming,
    sysfsRoot: '/nowhere',
    ...changes,
  });

/** Steers the stand-in nvidia-smi (its settings are described in the program) and knows every process it became. */
export class FakeNvidia {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(settings: Record<string, string> = {}): Promise<FakeNvidia> {
    const folder = await mkdtemp(path.join(tmpdir(), 'lai-fake-nvidia-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    process.env['FAKE_NVIDIA_DIR'] = folder;
    const fake = new FakeNvidia(folder);
    for (const [name, value] of Object.entries(settings)) await fake.set(name, value);
    return fake;
  }

  set(name: string, value: string): Promise<void> {
    return writeFile(path.join(this.#folder, name), value);
  }

  async pids(kind?: 'loop' | 'query'): Promise<number[]> {
    const text = await readFile(path.join(this.#folder, 'pids'), 'utf8').catch(() => '');
    const rows = text.split('\n').filter((row) => row !== '' && (kind === undefined || row.startsWith(kind)));
    return rows.map((row) => Number(row.split(' ')[1]));
  }

  async alive(): Promise<number[]> {
    return (await this.pids()).filter(isAlive);
  }
}

/** A zombie still has a number; it holds nothing and nobody of ours has to end it. */
const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

export async function until<T>(what: string, look: () => T | Promise<T>, withinMs = 4_000): Promise<NonNullable<T>> {
  const lastMs = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen as NonNullable<T>;
    if (performance.now() > lastMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(10);
  }
}
