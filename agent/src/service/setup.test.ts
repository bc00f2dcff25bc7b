import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIdentityKeys, keyFingerprint } from '@lai/shared/ed25519';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeCredential } from '../identity.ts';
import type { Layout } from './layout.ts';
import { layoutOf } from './layout.ts';
import { NothingStartsServices, type ServiceManager } from './service.ts';
import { type SetupOptions, setUp } from './setup.ts';
import { readTrial, writeRolledBack } from './trial.ts';
import { currentVersion, programAt } from './versions.ts';

describe('an unpacked release', () => {
  let dir: string;
  let layout: Layout;
  let said: string[];
  let did: string[];
  let isRunning: boolean;
  let connected: string | null;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'lai-setup-'));
    layout = layoutOf({ platform: 'linux', scope: 'user', home: dir, environment: {} });
    [said, did, isRunning, connected] = [[], [], false, '0.1.0'];
    const keys = await generateIdentityKeys();
    const coordinatorKey = (await generateIdentityKeys()).publicKey;
    writeCredential(layout.dataDir, { url: 'https://lai', nodeId: 'n', name: 'attic', ...keys, coordinatorKey, generation: 0 });
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const staged = (version: string, text = `agent ${version}`) => {
    const from = join(dir, `staged-${version}`);
    mkdirSync(join(from, 'versions', version), { recursive: true });
    mkdirSync(join(from, 'runtime/24.21.0/bin'), { recursive: true });
    writeFileSync(join(from, 'versions', version, 'lai-agent.js'), text, { mode: 0o600 });
    writeFileSync(join(from, 'runtime/24.21.0/bin/node'), 'node', { mode: 0o700 });
    writeFileSync(join(from, 'lai-agent'), '#!/bin/sh', { mode: 0o700 });
    writeFileSync(join(from, 'lai-launch.js'), 'launch', { mode: 0o600 });
    return from;
  };
  const manager: ServiceManager = {
    install: async () => {
      const isNew = !did.includes('install');
      did.push('install');
      return isNew ? 'created' : 'unchanged';
    },
    start: async () => {
      did.push('start');
      isRunning = true;
    },
    restart: async () => void did.push('restart'),
    stop: async () => void did.push('stop'),
    uninstall: async () => {},
    status: async () =>
      did.includes('install')
        ? { kind: isRunning ? 'running' : 'stopped', isEnabled: true, pid: null, detail: null }
        : { kind: 'absent' },
  };
  const set = (version: string, changes: Partial<SetupOptions> = {}) =>
    setUp({
      from: staged(version),
      layout,
      manager,
      answers: {},
      isForced: false,
      isDryRun: false,
      say: (line) => void said.push(line),
      connectedVersion: async () => connected,
      drain: async () => void did.push('drain'),
      limitMs: 1_000,
      ...changes,
    });
  const program = () => programAt(layout.programDir);

  it('becomes an agent that runs, readable by everybody but for its settings', async () => {
    await set('0.1.0', { answers: { LAI_RUNTIME: 'mock', LAI_TOKEN: '' } });
    expect(currentVersion(program())).toBe('0.1.0');
    expect(did).toEqual(['install', 'start']);
    expect(said.at(-1)).toBe('Version 0.1.0 runs and is connected.');
    expect(statSync(join(layout.programDir, 'versions/0.1.0/lai-agent.js')).mode & 0o777).toBe(0o644);
    expect(statSync(join(layout.programDir, 'runtime/24.21.0/bin/node')).mode & 0o777).toBe(0o755);
    expect(statSync(layout.settingsPath).mode & 0o777).toBe(0o600);
    expect(readFileSync(layout.settingsPath, 'utf8')).toContain('LAI_RUNTIME=mock');
    expect(readTrial(layout.programDir)).toBeNull();
  });

  it('changes nothing the second time', async () => {
    await set('0.1.0');
    const before = statSync(join(layout.programDir, 'versions/0.1.0')).mtimeMs;
    [said, did] = [[], ['install']];
    await set('0.1.0');
    expect(said).toEqual(['Everything is as it should be.']);
    expect(did).toEqual(['install', 'install']);
    expect(statSync(join(layout.programDir, 'versions/0.1.0')).mtimeMs).toBe(before);
  });

  it('repairs what was damaged, and starts it again when its work is done', async () => {
    await set('0.1.0');
    writeFileSync(join(layout.programDir, 'versions/0.1.0/lai-agent.js'), 'broken');
    rmSync(layout.commandPath);
    did = ['install'];
    await set('0.1.0');
    expect(readFileSync(join(layout.programDir, 'versions/0.1.0/lai-agent.js'), 'utf8')).toBe('agent 0.1.0');
    expect(existsSync(layout.commandPath)).toBe(true);
    expect(did.slice(1)).toEqual(['install', 'drain', 'restart']);
  });

  it('of a newer version is put on trial, and stays when that is over', async () => {
    await set('0.1.0');
    did = ['install'];
    const looks: (string | undefined)[] = [];
    await set('0.2.0', {
      connectedVersion: async () => {
        looks.push(readTrial(layout.programDir)?.version);
        rmSync(layout.trialPath, { force: true });
        return '0.2.0';
      },
    });
    expect(looks).toEqual(['0.2.0']);
    expect(said.at(-1)).toBe('Version 0.2.0 runs and is connected.');
  });

  it('that was taken back is a failure in words', async () => {
    await set('0.1.0');
    did = ['install'];
    const taken = set('0.2.0', {
      connectedVersion: async () => {
        writeRolledBack(layout.programDir, { version: '0.2.0', why: 'it crashed', atMs: 1 });
        return '0.1.0';
      },
    });
    await expect(taken).rejects.toThrow('Version 0.2.0 was taken back: it crashed. 0.1.0 runs again.');
  });

  it('is refused when it is older or was taken back, unless forced', async () => {
    await set('0.2.0', { connectedVersion: async () => '0.2.0' });
    await expect(set('0.1.0')).rejects.toThrow('Only --force goes back');
    writeRolledBack(layout.programDir, { version: '0.3.0', why: 'it crashed', atMs: 1 });
    await expect(set('0.3.0')).rejects.toThrow('Only --force tries it again');
    expect(currentVersion(program())).toBe('0.2.0');
    const forced = async () => {
      rmSync(layout.trialPath, { force: true });
      return '0.1.0';
    };
    await set('0.1.0', { isForced: true, connectedVersion: forced });
    expect(currentVersion(program())).toBe('0.1.0');
  });

  it('only says what it would do when nothing may be changed', async () => {
    await set('0.1.0', { isDryRun: true });
    expect(said).toContain('would switch to version 0.1.0');
    expect(said.at(-1)).toBe('Nothing was changed.');
    expect(existsSync(layout.programDir)).toBe(false);
    expect(did).toEqual([]);
  });

  it('goes with its coordinator to a new address, and back', async () => {
    await set('0.1.0', { answers: { LAI_URL: 'https://lai' } });
    expect(readFileSync(layout.settingsPath, 'utf8')).not.toContain('LAI_URL');
    for (const url of ['https://moved', 'https://lai']) {
      await set('0.1.0', { answers: { LAI_URL: url } });
      expect(readFileSync(layout.settingsPath, 'utf8')).toContain(`LAI_URL=${url}\n`);
    }
  });

  it('does not take a machine away from its coordinator', async () => {
    const other = await keyFingerprint((await generateIdentityKeys()).publicKey);
    const answers = { LAI_URL: 'https://other', LAI_TOKEN: `laj_${'0'.repeat(12)}_${'0'.repeat(32)}_${other}` };
    await expect(set('0.1.0', { answers })).rejects.toThrow('belongs to https://lai already');
    expect(did).toEqual([]);
  });

  it('needs a token on a machine that has not joined', async () => {
    rmSync(layout.dataDir, { recursive: true });
    await expect(set('0.1.0', { answers: { LAI_URL: 'https://lai' } })).rejects.toThrow('lai join-command');
  });

  it('lays everything where nothing starts services, and says how to start it', async () => {
    const start = async () => {
      throw new NothingStartsServices('By hand: lai-agent run');
    };
    await set('0.1.0', { manager: { ...manager, start } });
    expect(said.at(-1)).toBe('By hand: lai-agent run');
    expect(currentVersion(program())).toBe('0.1.0');
  });

  it('leaves a program of somebody else alone', async () => {
    mkdirSync(join(dir, '.local/bin'), { recursive: true });
    writeFileSync(layout.commandPath, 'mine');
    await expect(set('0.1.0')).rejects.toThrow('is there and not ours');
    expect(readFileSync(layout.commandPath, 'utf8')).toBe('mine');
  });

  it('fails in words when the agent does not connect', async () => {
    connected = null;
    await expect(set('0.1.0', { limitMs: 50 })).rejects.toThrow('not connected');
  });
});
