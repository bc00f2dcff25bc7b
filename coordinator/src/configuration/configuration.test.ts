import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Configuration } from './configuration.ts';
import { problemLine } from './read-file.ts';

let folder: string;
let configuration: Configuration;

const write = async (name: string, text: string): Promise<void> => {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.new`), text);
  await rename(join(folder, `${name}.new`), join(folder, name));
};
const smallTokens = () => configuration.household.routing.rules.thresholds.smallTokens;

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'lai-configuration-')), 'config');
  configuration = new Configuration({ folder, env: {}, log: pino({ level: 'silent' }) });
});
afterEach(() => {
  configuration.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('Configuration', () => {
  it('starts without a folder, and finds the files that are made later', async () => {
    await configuration.start();
    expect(smallTokens()).toBe(2_000);
    await write('routing.yaml', 'thresholds: { smallTokens: 100 }');
    await configuration.reload();
    expect(smallTokens()).toBe(100);
  });

  it('applies a change that is written to a file while it runs', async () => {
    await write('routing.yaml', 'thresholds: { smallTokens: 100 }');
    await configuration.start();
    await write('routing.yaml', 'thresholds: { smallTokens: 200 }');
    await expect.poll(smallTokens).toBe(200);
  });

  it('refuses to start with files that cannot be used, and says where', async () => {
    await write('routing.yaml', 'thresholds: nonsense');
    await expect(configuration.start()).rejects.toThrow(/routing\.yaml:1:13: thresholds: /);
  });

  it('keeps the last good configuration while a file is broken, and applies none of a pair of which one is', async () => {
    await write('routing.yaml', 'thresholds: { smallTokens: 100 }');
    await configuration.start();
    const heard: number[] = [];
    configuration.onChange((household) => heard.push(household.routing.rules.thresholds.smallTokens));
    await write('routing.yaml', 'thresholds: { smallTokens: 300 }');
    await write('providers.yaml', 'providers: [{ id: a }]');
    await configuration.reload();
    expect(smallTokens()).toBe(100);
    expect(configuration.refused.map(problemLine)[0]).toMatch(/^providers\.yaml:1:13: providers\.0\.type: /);
    await write('providers.yaml', 'providers: [{ id: a, type: openai }]');
    await configuration.reload();
    expect(heard).toEqual([300]);
    expect(configuration.refused).toEqual([]);
  });

  it('tells nobody of a file that was saved without a change', async () => {
    await write('routing.yaml', 'default: auto');
    await configuration.start();
    const heard: unknown[] = [];
    configuration.onChange((household) => heard.push(household));
    await write('routing.yaml', '# a comment\ndefault: auto\n');
    await configuration.reload();
    expect(heard).toEqual([]);
  });
});
