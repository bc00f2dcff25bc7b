import { chmodSync, closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fingerprintWords, generateIdentityKeys, keyFingerprint } from '@lai/shared/ed25519';
import { describe, expect, it, onTestFinished } from 'vitest';
import { enroll, fileIdentity, type NodeCredential, proposeKey, readCredential, writeCredential } from './identity.ts';

const hasModes = process.platform !== 'win32';

const credential: NodeCredential = {
  url: 'http://127.0.0.1:5240',
  nodeId: 'node_1',
  name: 'attic',
  publicKey: 'PUBLIC',
  privateKey: 'PRIVATE',
  coordinatorKey: 'COORDINATOR',
  generation: 0,
};

const emptyFolder = (): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-identity-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

const modeOf = (file: string): string => (statSync(file).mode & 0o777).toString(8);

describe('the identity of a node', () => {
  it('is nobody before the node has joined', () => {
    expect(readCredential(emptyFolder())).toBeNull();
  });

  it('is read as it was written', () => {
    const folder = emptyFolder();
    writeCredential(folder, credential);
    expect(readCredential(folder)).toEqual(credential);
  });

  it.runIf(hasModes)('is readable by its owner alone, folder included', () => {
    const folder = path.join(emptyFolder(), 'new', 'agent');
    writeCredential(folder, credential);
    expect(modeOf(path.join(folder, 'node.json'))).toBe('600');
    expect(modeOf(folder)).toBe('700');
  });

  it.runIf(hasModes).each([0o644, 0o640, 0o604, 0o660])('is refused when others may read or write it (%o)', (mode) => {
    const folder = emptyFolder();
    writeCredential(folder, credential);
    chmodSync(path.join(folder, 'node.json'), mode);
    expect(() => readCredential(folder)).toThrow(/readable by others. Run: chmod 600/);
  });

  it.runIf(hasModes)('is closed to others again by the next write', () => {
    const folder = emptyFolder();
    writeCredential(folder, credential);
    chmodSync(path.join(folder, 'node.json'), 0o644);
    writeCredential(folder, credential);
    expect(modeOf(path.join(folder, 'node.json'))).toBe('600');
  });

  it('is replaced whole: whoever reads meanwhile sees the old one to its end', () => {
    const folder = emptyFolder();
    writeCredential(folder, credential);
    const reader = openSync(path.join(folder, 'node.json'), 'r');
    writeCredential(folder, { ...credential, generation: 9 });
    expect(JSON.parse(readFileSync(reader, 'utf8'))).toEqual(credential);
    closeSync(reader);
    expect(readCredential(folder)?.generation).toBe(9);
    expect(readdirSync(folder)).toEqual(['node.json']);
  });

  it.each([
    ['half a file', '{"url":"http://'],
    ['another file', '{"hello":"world"}'],
  ])('is not made up from %s', (_, text) => {
    const folder = emptyFolder();
    writeFileSync(path.join(folder, 'node.json'), text, { mode: 0o600 });
    expect(() => readCredential(folder)).toThrow();
  });
});

describe('enrolling', async () => {
  /** A coordinator that answers everything the same way and remembers what it was told. */
  const coordinator = async (status: number, answer: unknown) => {
    const told: { path: string | undefined; body: Record<string, unknown> }[] = [];
    const http = createServer(async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
      told.push({ path: request.url, body: JSON.parse(Buffer.concat(pieces).toString()) });
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      http.closeAllConnections();
      http.close();
    });
    return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/`, told };
  };

  const keys = await generateIdentityKeys();
  const token = `laj_${'0'.repeat(12)}_${'1'.repeat(32)}_${await keyFingerprint(keys.publicKey)}`;
  const told200 = { nodeId: 'node_7', coordinatorKey: keys.publicKey, state: 'approved' };

  it('tells the public half of a fresh key, pins the coordinator and keeps no token', async () => {
    const folder = emptyFolder();
    const { url, told } = await coordinator(200, told200);
    const { credential: made, fingerprint } = await enroll({ url, token, name: 'attic', dataDir: folder });
    expect(made).toMatchObject({
      nodeId: 'node_7',
      name: 'attic',
      coordinatorKey: keys.publicKey,
      generation: 0,
      url: url.slice(0, -1),
    });
    expect(fingerprint).toBe(fingerprintWords(await keyFingerprint(made.publicKey)));
    expect(told).toEqual([{ path: '/api/v1/enroll', body: { token, name: 'attic', publicKey: made.publicKey } }]);
    expect(readCredential(folder)).toEqual(made);
    expect(readFileSync(path.join(folder, 'node.json'), 'utf8')).not.toContain('1'.repeat(32));
    const again = await enroll({ url, token, name: 'attic', dataDir: folder });
    expect(again.credential.publicKey).not.toBe(made.publicKey);
  });

  it('says when an operator has to approve the node first', async () => {
    const { url } = await coordinator(200, { ...told200, state: 'pending' });
    expect(await enroll({ url, token, name: 'attic', dataDir: emptyFolder() })).toMatchObject({ state: 'pending' });
  });

  it.each([
    [
      'refuses',
      403,
      { error: { message: 'This registration token is used.' } },
      /does not let this machine join: .*token is used/,
    ],
    ['answers something else', 200, { welcome: true }, /is no Lai coordinator/],
    [
      'is not the one that made the token',
      200,
      { nodeId: 'node_7', coordinatorKey: `${'A'.repeat(43)}=` },
      /not the coordinator/,
    ],
  ])('leaves no identity behind when the coordinator %s', async (_, status, answer, problem) => {
    const folder = emptyFolder();
    const { url } = await coordinator(status, answer);
    await expect(enroll({ url, token, name: 'attic', dataDir: folder })).rejects.toThrow(problem);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    'http://192.168.1.5:5240',
    'http://coordinator.lan',
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
  ])('sends nothing in the clear over a network: %s', async (url) => {
    await expect(enroll({ url, token, name: 'attic', dataDir: emptyFolder() })).rejects.toThrow(/not encrypted/);
  });

  it('takes nothing but a token', async () => {
    const { url, told } = await coordinator(200, told200);
    for (const wrong of ['', 'lai_0', token.slice(0, -1), `${token}0`, token.replace(/_[^_]*$/, '')])
      await expect(enroll({ url, token: wrong, name: 'attic', dataDir: emptyFolder() })).rejects.toThrow(/no registration token/);
    expect(told).toEqual([]);
  });
});

describe('a node that changes its key', () => {
  const identity = (folder: string) => {
    const made = fileIdentity(folder);
    if (!made) throw new Error('no identity');
    return made;
  };

  const proposed = async () => {
    const folder = emptyFolder();
    writeCredential(folder, credential);
    const running = identity(folder);
    const words = await proposeKey(folder);
    running.refresh();
    const { next } = running.credential;
    if (!next) throw new Error('nothing proposed');
    expect(fingerprintWords(await keyFingerprint(next.publicKey))).toBe(words);
    return { folder, running, next };
  };

  it('uses the old one until the coordinator names the new one', async () => {
    const { folder, running, next } = await proposed();
    running.welcomed(4, credential.publicKey);
    expect(readCredential(folder)).toEqual({ ...credential, generation: 4, next });
    running.welcomed(5, next.publicKey);
    expect(readCredential(folder)).toEqual({ ...credential, ...next, generation: 5 });
  });

  it('keeps both with a coordinator that does not know of such things', async () => {
    const { folder, running, next } = await proposed();
    running.welcomed(4, undefined);
    expect(readCredential(folder)).toMatchObject({ publicKey: credential.publicKey, next });
  });

  it('tries the new one, once, when the coordinator no longer knows the old one', async () => {
    const { folder, running, next } = await proposed();
    expect(running.tryOtherKey()).toBe(true);
    expect(readCredential(folder)).toMatchObject({ ...next, next: { publicKey: credential.publicKey } });
    expect(running.tryOtherKey()).toBe(false);
  });

  it('has nothing to try when none was proposed', () => {
    const folder = emptyFolder();
    writeCredential(folder, credential);
    expect(identity(folder).tryOtherKey()).toBe(false);
  });

  it('remembers where the coordinator has moved without writing it down', () => {
    const folder = emptyFolder();
    writeCredential(folder, credential);
    const moved = fileIdentity(folder, 'https://elsewhere.example');
    moved?.welcomed(3, undefined);
    expect(moved?.credential).toMatchObject({ url: 'https://elsewhere.example', generation: 3 });
    expect(readCredential(folder)?.url).toBe(credential.url);
  });
});
