import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from './fleet.ts';
import { Program } from './program.ts';

const LAI = join(import.meta.dirname, '..', '..', 'coordinator', 'dist', 'lai.js');

const MOCK_ENGINE = join(import.meta.dirname, '..', '..', 'agent', 'dist', 'lai-mock-engine.js');

describe('lai up', () => {
  let directory: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'lai-'));
    const ports = { LAI_PORT: String(await freePort()), LAI_LOCAL_PORT: '0' };
    env = { ...ports, LAI_DATA_DIR: directory, LAI_RUNTIME: 'mock', NO_COLOR: '1' };
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const up = (args: readonly string[] = [], more: Record<string, string> = {}) =>
    new Program('lai up', [LAI, 'up', ...args], { ...env, ...more });
  const firstTokenMs = (text: string) => Number(/first token after (\d+) ms/.exec(text)?.[1]);
  /** Processes that name the directory: everything that was started for it. */
  const left = () =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(directory);
        } catch {
          return false;
        }
      });

  it('answers a first question, says that it is simulated, and leaves nothing running', async () => {
    const text = await up(['--once']).output();
    expect(text).toContain('SIMULATED');
    expect(text).toMatch(/— served by \S+ with \S+; first token after \d+ ms/);
    if (process.platform === 'linux') expect(left()).toEqual([]);
  });

  it('waits for nothing that the run before has left', async () => {
    const text = await up(['--once']).output();
    // The model's load takes one; a claim that was left behind would take fifteen.
    expect(firstTokenMs(text)).toBeLessThan(8_000);
  });

  it('names the node also when the answer’s headers went out before there was one', async () => {
    const text = await up(['--once'], { LAI_KEEP_ALIVE_MS: '50' }).output();
    expect(text).toMatch(/— served by \S+ with \S+; first token/);
    expect(text).not.toContain('null');
  });

  it('keeps running, with an endpoint and a key that work, until it is told to stop', async () => {
    const lai = up();
    const url = /http\S+/.exec(await lai.until(/Your endpoint/))?.[0];
    const key = /lai_\w+/.exec(await lai.until(/Your API key/))?.[0];
    const models = await fetch(`${url}/models`, { headers: { authorization: `Bearer ${key}` } });
    expect(((await models.json()) as { data: unknown[] }).data.length).toBeGreaterThan(0);
    const setup = /http\S+\/setup#\w+/.exec(await lai.until(/the first one signs up/))?.[0];
    expect((await fetch(setup ?? '')).status).toBe(200);
    lai.kill('SIGINT');
    expect(await lai.exited).toBe(0);
    if (process.platform === 'linux') expect(left()).toEqual([]);
  });

  const failing = async (args: readonly string[], more: Record<string, string>) => {
    const lai = up(args, more);
    expect(await lai.exited).toBe(1);
    if (process.platform === 'linux') expect(left()).toEqual([]);
    return lai.text;
  };

  it('says what is missing beside an Ollama that has only an embedding model, and leaves nothing running', async () => {
    const port = await freePort();
    const args = ['--dialect', 'ollama', '--port', String(port), '--models', 'embedder=0.1GB,slots=1,caps=embedding'];
    const engine = new Program('an Ollama (mock engine)', [MOCK_ENGINE, ...args]);
    try {
      await engine.until(/^\{"listening"/);
      const text = await failing(['--once'], { LAI_RUNTIME: 'auto', LAI_OLLAMA_URL: `http://127.0.0.1:${port}` });
      expect(text).toMatch(/has no model that can chat, only embedder\S*\. Bring one: lai pull/);
      expect(text).toContain('npm start -- --pull');
      expect(text).not.toContain('SIMULATED');
    } finally {
      engine.kill('SIGKILL');
    }
  });

  it('says that the Ollama it was told of is away', async () => {
    const more = { LAI_RUNTIME: 'ollama', LAI_OLLAMA_MODE: 'adopt', LAI_OLLAMA_URL: `http://127.0.0.1:${await freePort()}` };
    expect(await failing(['--once'], more)).toContain('Ollama does not answer where it is expected. Start it: ollama serve');
  });

  it('goes on beside an Ollama without a model, says how to reach it, and is found by commands that are told nothing', async () => {
    const home = { HOME: directory, XDG_STATE_HOME: join(directory, 'state') };
    const more = {
      ...home,
      LAI_RUNTIME: 'ollama',
      LAI_OLLAMA_MODE: 'adopt',
      LAI_OLLAMA_URL: `http://127.0.0.1:${await freePort()}`,
    };
    const lai = up([], more);
    try {
      await lai.until(/Your endpoint/);
      const told = new Program('lai status', [LAI, 'status'], { ...home, LAI_DATA_DIR: '', LAI_PORT: '' });
      expect(await told.output()).toContain('Start it: ollama serve');
      const doctor = new Program('lai doctor', [LAI, 'doctor'], { ...home, LAI_DATA_DIR: '', LAI_PORT: '' });
      await doctor.exited;
      expect(doctor.text).toMatch(/✓ The coordinator answers at .*\n✓ It takes requests/);
      expect(doctor.text).toContain('✓ Redis refuses what it has no room for');
    } finally {
      lai.kill('SIGINT');
    }
    expect(await lai.exited).toBe(0);
  });

  it('shows three simulated machines with --demo', async () => {
    const text = await up(['--once', '--demo']).output();
    for (const name of ['mac-m1', 'windows-rtx', 'linux-3070']) expect(text).toMatch(new RegExp(`^${name}: .*SIMULATED`, 'm'));
  });
});
