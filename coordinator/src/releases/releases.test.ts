import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIdentityKeys, type IdentityKeys, signWith } from '@lai/shared/ed25519';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DownloadSlots } from './download-slots.ts';
import { Releases } from './releases.ts';
import { portionOf, serveFile } from './serve-file.ts';

let dir: string;
let key: IdentityKeys;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lai-shelf-'));
  key = await generateIdentityKeys();
  writeFileSync(join(dir, 'release.pub'), `${key.publicKey}\n`);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const CONTENT = 'the agent, as far as this test goes';
const put = async (version: string, changes: Record<string, unknown> = {}): Promise<void> => {
  const home = join(dir, version);
  mkdirSync(home, { recursive: true });
  const file = (name: string) => {
    writeFileSync(join(home, name), CONTENT);
    return { name, bytes: CONTENT.length, sha256: createHash('sha256').update(CONTENT).digest('hex') };
  };
  const manifest = {
    ...{ version, minimumVersion: '0.1.0', agent: file('agent.tar.gz') },
    platforms: { 'linux-x64': { runtime: '24.21.0', archive: file('linux-x64.tar.gz') } },
    ...changes,
  };
  for (const [name, text] of [
    ['manifest.json', JSON.stringify(manifest)],
    ['SHA256SUMS', 'sums\n'],
  ] as const) {
    writeFileSync(join(home, name), text);
    writeFileSync(join(home, `${name}.sig`), `${await signWith(key.privateKey, Buffer.from(text))}\n`);
  }
};
const shelf = (publicKey: string | null = null) => new Releases({ dir, publicKey, log: pino({ level: 'silent' }) });
const versions = async (releases = shelf()) => (await releases.shelf()).releases.map(({ version }) => version);

describe('the shelf', () => {
  it('has the releases that lie there, newest first, and nothing else that lies there', async () => {
    for (const version of ['0.9.0', '0.10.0', '0.2.0']) await put(version);
    mkdirSync(join(dir, '.0.11.0-half'));
    mkdirSync(join(dir, 'notes'));
    expect(await versions()).toEqual(['0.10.0', '0.9.0', '0.2.0']);
    expect((await shelf().shelf()).problems).toEqual([]);
  });

  it('is empty, and says nothing wrong, when there is no folder', async () => {
    const releases = new Releases({ dir: join(dir, 'nowhere'), publicKey: null, log: pino({ level: 'silent' }) });
    expect(await releases.shelf()).toEqual({ releases: [], publicKey: null, problems: [] });
    expect(await releases.find('latest')).toBeNull();
  });

  it('gives out as latest what is no candidate for something newer, unless there is nothing else', async () => {
    await put('0.3.0-rc.1');
    expect((await shelf().find('latest'))?.version).toBe('0.3.0-rc.1');
    await put('0.2.0');
    expect((await shelf().find('latest'))?.version).toBe('0.2.0');
    expect((await shelf().find('0.3.0-rc.1'))?.version).toBe('0.3.0-rc.1');
  });

  it.each<[string, () => unknown, string]>([
    ['changed after it was signed', () => appendFileSync(join(dir, '0.2.0', 'manifest.json'), ' '), 'not signed'],
    ['not signed', () => rmSync(join(dir, '0.2.0', 'manifest.json.sig')), 'not signed'],
    ['not whole', () => rmSync(join(dir, '0.2.0', 'linux-x64.tar.gz')), 'linux-x64.tar.gz is missing'],
    ['cut off', () => writeFileSync(join(dir, '0.2.0', 'agent.tar.gz'), 'the'), 'agent.tar.gz has 3 bytes'],
    ['that of another version', () => put('0.2.0', { version: '0.2.1' }), 'that of 0.2.1'],
    ['full of paths', () => put('0.2.0', { agent: { name: '../../x', bytes: 1, sha256: 'a'.repeat(64) } }), ''],
  ])('does not offer a release that is %s, and says why', async (_, spoil, why) => {
    await put('0.1.0');
    await put('0.2.0');
    await spoil();
    const { releases, problems } = await shelf().shelf();
    expect(releases.map(({ version }) => version)).toEqual(['0.1.0']);
    expect(problems).toEqual([expect.stringContaining(why)]);
  });

  it('believes the key that was configured, not the one that lies there', async () => {
    await put('0.2.0');
    expect(await versions(shelf((await generateIdentityKeys()).publicKey))).toEqual([]);
    rmSync(join(dir, 'release.pub'));
    expect(await versions()).toEqual([]);
    expect(await versions(shelf(key.publicKey))).toEqual(['0.2.0']);
  });

  it('sees what comes while it is asked', async () => {
    const releases = shelf();
    expect(await versions(releases)).toEqual([]);
    await put('0.2.0');
    await expect.poll(() => versions(releases), { timeout: 10_000 }).toEqual(['0.2.0']);
    rmSync(join(dir, '0.2.0', 'agent.tar.gz'));
    await expect.poll(() => versions(releases), { timeout: 10_000 }).toEqual([]);
  }, 30_000);
});

describe('what of a file is answered', () => {
  const file = { bytes: 100, etag: '"e"' };
  it.each<[Parameters<typeof portionOf>[0], object]>([
    [{}, { kind: 'whole' }],
    [{ range: 'bytes=0-9' }, { kind: 'part', start: 0, end: 9 }],
    [{ range: 'bytes=90-' }, { kind: 'part', start: 90, end: 99 }],
    [{ range: 'bytes=-10' }, { kind: 'part', start: 90, end: 99 }],
    [{ range: 'bytes=-1000' }, { kind: 'part', start: 0, end: 99 }],
    [{ range: 'bytes=50-1000' }, { kind: 'part', start: 50, end: 99 }],
    [{ range: 'bytes=100-' }, { kind: 'none' }],
    [{ range: 'bytes=9-3' }, { kind: 'none' }],
    [{ range: 'bytes=-0' }, { kind: 'none' }],
    [{ range: 'bytes=-' }, { kind: 'whole' }],
    [{ range: 'bytes=0-1,5-6' }, { kind: 'whole' }],
    [{ range: 'lines=0-1' }, { kind: 'whole' }],
    [
      { range: 'bytes=0-9', ifRange: '"e"' },
      { kind: 'part', start: 0, end: 9 },
    ],
    [{ range: 'bytes=0-9', ifRange: '"older"' }, { kind: 'whole' }],
    [{ ifNoneMatch: '"e"' }, { kind: 'unchanged' }],
    [{ ifNoneMatch: '"a", W/"e"' }, { kind: 'unchanged' }],
    [
      { ifNoneMatch: '"a"', range: 'bytes=0-0' },
      { kind: 'part', start: 0, end: 0 },
    ],
  ])('%j → %j', (headers, expected) => {
    expect(portionOf(headers, file)).toEqual(expected);
  });
});

describe('a file that is served', () => {
  let server: Server;
  let url: string;
  beforeEach(async () => {
    await put('0.2.0');
    const file = (await shelf().find('0.2.0'))?.files.get('agent.tar.gz');
    if (!file) throw new Error('no file');
    server = createServer(
      (request, response) => void serveFile({ request, response }, file, { isForGood: request.url === '/good' }),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('comes whole, once, and may be kept when it is that file for good', async () => {
    const first = await fetch(`${url}/good`);
    expect(await first.text()).toBe(CONTENT);
    expect(first.headers.get('cache-control')).toContain('immutable');
    expect(first.headers.get('content-type')).toBe('application/gzip');
    const again = await fetch(`${url}/good`, { headers: { 'if-none-match': first.headers.get('etag') ?? '' } });
    expect([again.status, await again.text()]).toEqual([304, '']);
    expect((await fetch(`${url}/latest`)).headers.get('cache-control')).toBe('no-cache');
  });

  it('is continued where it broke off', async () => {
    const rest = await fetch(url, { headers: { range: 'bytes=10-' } });
    expect([rest.status, await rest.text()]).toEqual([206, CONTENT.slice(10)]);
    expect(rest.headers.get('content-range')).toBe(`bytes 10-${CONTENT.length - 1}/${CONTENT.length}`);
    const beyond = await fetch(url, { headers: { range: 'bytes=1000-' } });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${CONTENT.length}`]);
  });

  it('is described without being sent', async () => {
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, String(CONTENT.length), '']);
  });

  it('is an error, not a shorter file, when it goes away meanwhile', async () => {
    rmSync(join(dir, '0.2.0', 'agent.tar.gz'));
    await expect(fetch(url).then((response) => response.text())).rejects.toThrow();
  });
});

describe('downloads at once', () => {
  it('are eight for one network, and 32 in all', () => {
    const slots = new DownloadSlots();
    const home = Array.from({ length: 9 }, () => slots.take('10.0.0.1'));
    expect(home.map((slot) => slot !== null)).toEqual([...Array<boolean>(8).fill(true), false]);
    const others = Array.from({ length: 30 }, (_, index) => slots.take(`10.0.1.${index}`));
    expect(others.filter((slot) => slot !== null)).toHaveLength(24);
    home[0]?.();
    home[0]?.();
    expect([slots.take('10.0.0.1'), slots.take('10.0.0.1')].map((slot) => slot !== null)).toEqual([true, false]);
  });
});
