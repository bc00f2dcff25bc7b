/**
 * install.sh as a whole, under every shell and with every tool that it may find, against a release that only tells what was asked of it.
 * A real installation: install-linux.engines.test.ts.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { generateIdentityKeys, type IdentityKeys, signWith } from '../../shared/src/ed25519.ts';
import { onPath } from '../engines/cache.ts';
import { isHere, SHELLS } from '../lint/shell.ts';
import { Program } from './program.ts';

const AGENT = join(import.meta.dirname, '../../deploy/agent');
const TEXT = readFileSync(join(AGENT, 'install.sh'), 'utf8');
const PLATFORM = `linux-${process.arch === 'arm64' ? 'arm64' : 'x64'}`;
const shells = SHELLS.filter(isHere);
const hasEd25519 = /rawin/.test(spawnSync('openssl', ['pkeyutl', '-help'], { encoding: 'utf8' }).stderr ?? '');

/** What the script needs besides the tools that it chooses between. */
const BASICS = [
  'cat',
  'cut',
  'env',
  'grep',
  'gzip',
  'head',
  'id',
  'ldd',
  'mkdir',
  'mktemp',
  'rm',
  'sed',
  'sh',
  'tar',
  'tr',
  'uname',
];

/** Stands for Node in the release: says what it was asked, and what the answers were. */
const NODE = `#!/bin/sh
[ "$1" = --version ] && exit 0
shift
echo "asked: $*"
while [ $# -gt 0 ]; do [ "$1" = --answers ] && cat "$2"; shift; done
`;

describe.skipIf(process.platform !== 'linux')('install.sh', () => {
  let dir: string;
  let keys: IdentityKeys;
  let door: http.Server;
  let url: string;
  const files = new Map<string, Buffer>();

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'lai-install-sh-'));
    keys = await generateIdentityKeys();
    door = http.createServer((request, response) => {
      const file = files.get(request.url ?? '');
      response.writeHead(file ? 200 : 404).end(file);
    });
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(door.address() as AddressInfo).port}`;
    const node = join(dir, 'program/runtime/24.21.0/bin/node');
    mkdirSync(dirname(node), { recursive: true });
    writeFileSync(node, NODE);
    chmodSync(node, 0o755);
    mkdirSync(join(dir, 'program/versions/0.1.0'), { recursive: true });
    writeFileSync(join(dir, 'program/versions/0.1.0/lai-agent.js'), '');
    mkdirSync(join(dir, 'tmp'));
  });
  afterAll(() => {
    door?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  beforeEach(async () => {
    files.clear();
    const archive = spawnSync('tar', ['-czf', '-', '-C', join(dir, 'program'), '.']).stdout;
    const sums = Buffer.from(`${createHash('sha256').update(archive).digest('hex')}  ${PLATFORM}.tar.gz\n`);
    files.set('/dl/latest/manifest.json', Buffer.from('{\n  "version": "0.1.0",\n  "minimumVersion": "0.0.1"\n}\n'));
    files.set('/dl/0.1.0/SHA256SUMS', sums);
    files.set('/dl/0.1.0/SHA256SUMS.sig', Buffer.from(`${await signWith(keys.privateKey, sums)}\n`));
    files.set(`/dl/0.1.0/${PLATFORM}.tar.gz`, archive);
  });

  /** A PATH with nothing but these on it. */
  const pathOf = (tools: readonly string[]): string => {
    const path = mkdtempSync(join(dir, 'path-'));
    for (const tool of [...BASICS, ...tools]) {
      const program = onPath(tool);
      if (program) symlinkSync(program, join(path, tool));
    }
    // Whoever runs this test, nothing asks for a password.
    writeFileSync(join(path, 'sudo'), '#!/bin/sh\necho "sudo"\nexec "$@"\n', { mode: 0o755 });
    return path;
  };
  const install = async (
    args: readonly string[] = [],
    how: { shell?: readonly string[]; tools?: readonly string[]; env?: Record<string, string>; key?: string; at?: string } = {},
  ) => {
    const [shell = '', ...before] = how.shell ?? shells[0] ?? ['sh'];
    const script = join(dir, 'install.sh');
    writeFileSync(script, TEXT.replaceAll('@LAI_URL@', how.at ?? url).replaceAll('@LAI_RELEASE_KEY@', how.key ?? keys.publicKey));
    const env = { PATH: pathOf(how.tools ?? ['curl', 'sha256sum', 'openssl']), TMPDIR: join(dir, 'tmp'), HOME: dir, ...how.env };
    const program = new Program('install.sh', [...before, script, ...args], env, onPath(shell) ?? shell);
    const code = await program.exited;
    return { code, text: program.text };
  };

  describe.each(shells.map((shell) => ({ shell })))('under $shell', ({ shell }) => {
    it('brings a checked release and hands over to it, with the token in no command line', async () => {
      const { code, text } = await install(['--force'], { shell, env: { LAI_TOKEN: 'laj_secret', LAI_RUNTIME: 'mock' } });
      expect(code, text).toBe(0);
      const asked = text.split('\n').find((line) => line.startsWith('asked:')) ?? '';
      expect(asked).toMatch(/^asked: service install --from \S+\/program --answers \S+\/answers --force --system$/);
      expect(text).toContain('LAI_TOKEN=laj_secret\n');
      expect(text).toContain('LAI_RUNTIME=mock\n');
      expect(text).toContain(`LAI_URL=${url}\n`);
      expect(readdirSync(join(dir, 'tmp'))).toEqual([]);
    });

    it('changes nothing when the download is not what the release says', async () => {
      files.set(`/dl/0.1.0/${PLATFORM}.tar.gz`, Buffer.from('something else'));
      const { code, text } = await install([], { shell });
      expect(text).toContain('not what the release says');
      expect(text).not.toContain('asked:');
      expect(code).toBe(1);
      expect(readdirSync(join(dir, 'tmp'))).toEqual([]);
    });

    it('takes a release away with its own hands when nothing is installed any more', async () => {
      const { text } = await install(['--uninstall', '--purge', '--user'], { shell });
      expect(text).toContain('asked: uninstall --purge --user');
    });
  });

  it.each([
    ['wget instead of curl', ['wget', 'sha256sum', 'openssl']],
    ['shasum', ['curl', 'shasum', 'perl', 'openssl']],
    ['openssl alone', ['curl', 'openssl']],
    ['no openssl', ['curl', 'sha256sum']],
  ])('goes with %s', async (_, tools) => {
    if (!tools.every((tool) => onPath(tool)))
      return console.warn(`install.sh: not tried with ${tools.join(', ')}: not all are here`);
    const { code, text } = await install([], { tools });
    expect(code, text).toBe(0);
    if (!tools.includes('openssl')) expect(text).toContain('checked by its checksum alone');
  });

  it.skipIf(!hasEd25519)('changes nothing when the release is signed by somebody else', async () => {
    const { code, text } = await install([], { key: (await generateIdentityKeys()).publicKey });
    expect(text).toContain('not signed with the key of this coordinator');
    expect(text).not.toContain('asked:');
    expect(code).toBe(1);
  });

  it.each([
    ['has no release', () => files.clear(), 'cannot be had'],
    ['has none for this system', () => files.set('/dl/0.1.0/SHA256SUMS', Buffer.from('')), 'signed with|not made for'],
    ['says nonsense', () => files.set('/dl/latest/manifest.json', Buffer.from('<html>')), 'no release that could be installed'],
  ])('says so when the coordinator %s', async (_, change, words) => {
    change();
    const { code, text } = await install();
    expect(text).toMatch(new RegExp(words));
    expect(code).toBe(1);
  });

  it('follows no redirection', async () => {
    const elsewhere = http.createServer((_, response) => response.end('{"version": "9.9.9"}'));
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    const away = http.createServer((request, response) =>
      response.writeHead(302, { location: `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}${request.url}` }).end(),
    );
    await new Promise<void>((resolve) => away.listen(0, '127.0.0.1', resolve));
    try {
      const { code, text } = await install([], { at: `http://127.0.0.1:${(away.address() as AddressInfo).port}` });
      expect(text).not.toContain('9.9.9');
      expect(code).toBe(1);
    } finally {
      away.close();
      elsewhere.close();
    }
  });

  it('is refused as a template, and over a line that others can read', async () => {
    expect((await install([], { at: '@LAI_URL@' })).text).toContain('this script is a template');
    expect((await install([], { at: 'http://10.9.8.7:1' })).text).toContain('is not encrypted');
  });
});
