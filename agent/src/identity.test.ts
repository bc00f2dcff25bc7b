import { chmodSync, closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { enroll, type NodeCredential, readCredential, writeCredential } from './identity.ts';

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

describe('enrolling', () => {
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

  it('tells the public half of a fresh key, pins the coordinator and keeps no token', async () => {
    const folder = emptyFolder();
    const { url, told } = await coordinator(200, { nodeId: 'node_7', coordinatorKey: 'PINNED' });
    const made = await enroll({ url, token: 'laj_secret', name: 'attic', dataDir: folder });
    expect(made).toMatchObject({
      nodeId: 'node_7',
      name: 'attic',
      coordinatorKey: 'PINNED',
      generation: 0,
      url: url.slice(0, -1),
    });
    expect(told).toEqual([{ path: '/api/v1/enroll', body: { token: 'laj_secret', name: 'attic', publicKey: made.publicKey } }]);
    expect(readCredential(folder)).toEqual(made);
    expect(readFileSync(path.join(folder, 'node.json'), 'utf8')).not.toContain('laj_secret');
    const again = await enroll({ url, token: 'laj_secret', name: 'attic', dataDir: folder });
    expect(again.publicKey).not.toBe(made.publicKey);
  });

  it.each([
    ['refuses', 403, { error: { message: 'This registration token is used.' } }, /HTTP 403.*token is used/],
    ['answers something else', 200, { welcome: true }, /nodeId/],
  ])('leaves no identity behind when the coordinator %s', async (_, status, answer, problem) => {
    const folder = emptyFolder();
    const { url } = await coordinator(status, answer);
    await expect(enroll({ url, token: 't', name: 'attic', dataDir: folder })).rejects.toThrow(problem);
    expect(readdirSync(folder)).toEqual([]);
  });
});
