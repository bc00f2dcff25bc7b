import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIdentityKeys, type IdentityKeys, signWith } from '@lai/shared/ed25519';
import type { ReleaseManifest, SignedManifest } from '@lai/shared/release';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { endTrial, readTrial, writeRolledBack, writeTrial } from './trial.ts';
import { Updates } from './update.ts';
import { currentVersion, installedVersions, type Program, programAt, switchTo } from './versions.ts';

const NODE = process.versions.node;

describe.skipIf(process.platform === 'win32')('an agent that is asked to become another version', () => {
  let dir: string;
  let program: Program;
  let keys: IdentityKeys;
  let door: http.Server;
  let url: string;
  let asked: string[];
  /** So many are told to come back. */
  let turnedAway = 0;
  /** So many archives end in the middle. */
  let cutOff = 0;
  const files = new Map<string, Buffer>();

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'lai-update-'));
    program = programAt(join(dir, 'program'));
    keys = await generateIdentityKeys();
    asked = [];
    files.clear();
    door = http.createServer((request, response) => {
      asked.push(request.url ?? '');
      if (turnedAway > 0) {
        turnedAway -= 1;
        return response.writeHead(429, { 'retry-after': '0' }).end();
      }
      const file = files.get(request.url ?? '');
      if (file && cutOff > 0 && request.url?.endsWith('.gz')) {
        cutOff -= 1;
        response.writeHead(200, { 'content-length': file.length }).write(file.subarray(0, 10), () => response.destroy());
        return;
      }
      response.writeHead(file ? 200 : 404).end(file);
    });
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(door.address() as AddressInfo).port}`;
    mkdirSync(join(program.dir, 'runtime', NODE, 'bin'), { recursive: true });
    symlinkSync(process.execPath, join(program.dir, 'runtime', NODE, 'bin/node'));
    write(join(program.dir, 'versions/0.1.0'), '0.1.0');
    switchTo(program, '0.1.0');
  });
  afterEach(() => {
    door.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const write = (home: string, says: string) => {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'lai-agent.js'), `console.log('${says}')`);
    writeFileSync(join(home, 'runtime'), `${NODE}\n`);
  };
  /** Served as the coordinator does; `says` is what the agent in it calls itself. */
  const offer = async (version: string, { says = version, sha256 = '' } = {}): Promise<SignedManifest> => {
    const home = join(dir, `made-${version}`);
    write(home, says);
    const archive = execFileSync('tar', ['-czf', '-', '-C', home, '.']);
    const agent = {
      name: 'agent.tar.gz',
      sha256: sha256 || createHash('sha256').update(archive).digest('hex'),
      bytes: archive.length,
    };
    const platform = { runtime: NODE, archive: { ...agent, name: `${process.platform}-${process.arch}.tar.gz` } };
    const manifest: ReleaseManifest = {
      version,
      minimumVersion: '0.1.0',
      agent,
      platforms: { [`${process.platform}-${process.arch}`]: platform },
    };
    const text = JSON.stringify(manifest);
    const signature = await signWith(keys.privateKey, new TextEncoder().encode(text));
    for (const place of ['latest', version]) {
      files.set(`/dl/${place}/manifest.json`, Buffer.from(text));
      files.set(`/dl/${place}/manifest.json.sig`, Buffer.from(`${signature}\n`));
    }
    files.set(`/dl/${version}/agent.tar.gz`, archive);
    return { text, signature };
  };
  const updates = (changes: Partial<ConstructorParameters<typeof Updates>[0]> = {}) =>
    new Updates({
      program,
      version: '0.1.0',
      coordinatorUrl: url,
      releaseKey: keys.publicKey,
      isAllowed: () => true,
      drain: async () => {},
      undrain: () => {},
      restart: () => {},
      onChange: () => {},
      log: pino({ level: 'silent' }),
      ...changes,
    });

  it('downloads, checks, drains, switches, and ends, in this order', async () => {
    await offer('0.2.0');
    const events: string[] = [];
    const note = (event: string) => () => void events.push(event);
    const outcome = await updates({ drain: async () => note('drained')(), restart: note('ended') }).update(
      { isForced: false },
      (news) => {
        events.push(news);
      },
    );
    expect(outcome).toEqual({ kind: 'restarting', version: '0.2.0' });
    await vi.waitFor(() => expect(events.at(-1)).toBe('ended'), 5_000);
    expect(events).toEqual(['downloading', 'draining', 'drained', 'restarting', 'ended']);
    expect(currentVersion(program)).toBe('0.2.0');
    expect(readTrial(program.dir)).toEqual({ version: '0.2.0', previous: '0.1.0', starts: 0, deadlineMs: null });
    expect(asked).not.toContain(`/dl/0.2.0/${process.platform}-${process.arch}.tar.gz`);
  });

  it('takes the release that came along, and asks for its files alone', async () => {
    const signed = await offer('0.2.0');
    await updates().update({ signed, isForced: false });
    expect(asked).toEqual(['/dl/0.2.0/agent.tar.gz']);
  });

  it('comes back as often as a busy coordinator asks it to', async () => {
    await offer('0.2.0');
    turnedAway = 4;
    expect(await updates().update({ isForced: false })).toEqual({ kind: 'restarting', version: '0.2.0' });
    expect(turnedAway).toBe(0);
  });

  it('begins a download again whose line broke', async () => {
    await offer('0.2.0');
    cutOff = 1;
    expect(await updates().update({ isForced: false })).toEqual({ kind: 'restarting', version: '0.2.0' });
    expect(cutOff).toBe(0);
  });

  it.each<[string, Parameters<typeof offer>[1], string]>([
    ['is not what the manifest says', { sha256: 'a'.repeat(64) }, 'not what the release says'],
    ['calls itself something else', { says: '6.6.6' }, 'calls itself "6.6.6"'],
  ])('keeps what it has when the download %s', async (_, how, words) => {
    await offer('0.2.0', how);
    const undrain = vi.fn();
    const subject = updates({ undrain });
    await expect(subject.update({ isForced: false })).rejects.toThrow(words);
    expect(currentVersion(program)).toBe('0.1.0');
    expect(installedVersions(program)).toEqual(['0.1.0']);
    expect(readdirSync(program.dir).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(readTrial(program.dir)).toBeNull();
    expect(undrain).toHaveBeenCalled();
    expect(subject.report()).toMatchObject({ state: 'failed', version: '0.2.0' });
  });

  it('obeys the owner of the machine first', async () => {
    await offer('0.2.0');
    const subject = updates({ isAllowed: () => false });
    await expect(subject.update({ isForced: true })).rejects.toThrow('policy on this machine forbids');
    expect(asked).toEqual([]);
    expect(subject.report()).toMatchObject({ isAllowed: false });
  });

  it('takes nothing that is signed with another key', async () => {
    await offer('0.2.0');
    await expect(updates({ releaseKey: (await generateIdentityKeys()).publicKey }).update({ isForced: false })).rejects.toThrow(
      'not signed with the key',
    );
    expect(asked.every((path) => path.includes('manifest'))).toBe(true);
  });

  it('goes back to an older version only when forced', async () => {
    await offer('0.0.9');
    await expect(updates().update({ isForced: false })).rejects.toThrow('only --force goes back');
    await expect(updates().update({ isForced: true, by: 'coordinator' })).rejects.toThrow('only the owner goes back that far');
    expect((await updates().update({ isForced: true, by: 'owner' })).kind).toBe('restarting');
    expect(currentVersion(program)).toBe('0.0.9');
  });

  it('has nothing to do for the version that it is', async () => {
    await offer('0.1.0');
    expect(await updates().update({ isForced: false })).toEqual({ kind: 'unchanged', version: '0.1.0' });
  });

  it('does not take another one while it is on trial itself', async () => {
    await offer('0.2.0');
    writeTrial(program.dir, { version: '0.1.0', previous: '0.0.9', starts: 1, deadlineMs: Date.now() + 60_000 });
    const subject = updates();
    expect(subject.report()).toMatchObject({ state: 'trial', version: '0.1.0' });
    await expect(subject.update({ isForced: false })).rejects.toThrow('still on trial');
    endTrial(program.dir);
  });

  it('lets two wishes be one', async () => {
    await offer('0.2.0');
    const subject = updates();
    const both = await Promise.all([subject.update({ isForced: false }), subject.update({ isForced: false })]);
    expect(both.map(({ kind }) => kind)).toEqual(['restarting', 'restarting']);
    expect(asked.filter((path) => path.endsWith('agent.tar.gz'))).toHaveLength(1);
  });

  it('keeps two versions once it is connected, and forgets that one was taken back', () => {
    for (const version of ['0.0.8', '0.0.9']) write(join(program.dir, 'versions', version), version);
    writeTrial(program.dir, { version: '0.1.0', previous: '0.0.9', starts: 1, deadlineMs: Date.now() + 60_000 });
    writeRolledBack(program.dir, { version: '0.2.0', why: 'it crashed', atMs: 1 });
    const subject = updates();
    subject.connected();
    expect(installedVersions(program).sort()).toEqual(['0.0.9', '0.1.0']);
    expect(readTrial(program.dir)).toBeNull();
    expect(subject.report()).toMatchObject({ state: 'none' });
    expect(existsSync(join(program.dir, 'rolled-back.json'))).toBe(false);
  });

  it('tells of a version that was taken back', () => {
    writeRolledBack(program.dir, { version: '0.2.0', why: 'it crashed', atMs: 1 });
    expect(updates().report()).toEqual({ isAllowed: true, state: 'rolled_back', version: '0.2.0', detail: 'it crashed' });
  });

  it('leaves a version that everybody may run', async () => {
    await offer('0.2.0');
    await updates().update({ isForced: false });
    expect(statSync(join(program.dir, 'versions/0.2.0')).mode & 0o777).toBe(0o755);
  });
});
