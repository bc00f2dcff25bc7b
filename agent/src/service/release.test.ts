import { generateIdentityKeys, signWith } from '@lai/shared/ed25519';
import type { ReleaseManifest } from '@lai/shared/release';
import { describe, expect, it } from 'vitest';
import { openManifest, planUpdate } from './release.ts';

const file = (name: string) => ({ name, sha256: 'a'.repeat(64), bytes: 10 });
const manifest = (changes: Partial<ReleaseManifest> = {}): ReleaseManifest => ({
  version: '0.2.0',
  minimumVersion: '0.1.0',
  agent: file('agent.tar.gz'),
  platforms: { 'linux-x64': { runtime: '24.21.0', archive: file('linux-x64.tar.gz') } },
  ...changes,
});
const here = {
  version: '0.1.0',
  platform: 'linux-x64',
  hasRuntime: () => true,
  rolledBack: null,
  isForced: false,
  by: 'owner',
  previous: null,
} as const;
const takenBack = { version: '0.2.0', why: 'it crashed', atMs: 1 };

describe('what a release means for a machine', () => {
  it.each<[string, Partial<ReleaseManifest>, Partial<Parameters<typeof planUpdate>[1]>, object]>([
    ['newer', {}, {}, { kind: 'update', holds: 'agent', archive: { name: 'agent.tar.gz' } }],
    [
      'newer, on another Node',
      {},
      { hasRuntime: () => false },
      { kind: 'update', holds: 'everything', archive: { name: 'linux-x64.tar.gz' } },
    ],
    ['the same', {}, { version: '0.2.0' }, { kind: 'nothing to do' }],
    ['older', {}, { version: '0.3.0' }, { kind: 'refused', why: expect.stringContaining('older') }],
    ['older and forced', {}, { version: '0.3.0', isForced: true }, { kind: 'update' }],
    ['older and forced over the wire', {}, { version: '0.3.0', isForced: true, by: 'coordinator' }, { kind: 'refused' }],
    [
      'older than the version before, forced over the wire',
      {},
      { version: '0.4.0', isForced: true, by: 'coordinator', previous: '0.3.0' },
      { kind: 'refused' },
    ],
    [
      'the version before, forced over the wire',
      {},
      { version: '0.3.0', isForced: true, by: 'coordinator', previous: '0.2.0' },
      { kind: 'update' },
    ],
    ['the version before, not forced', {}, { version: '0.3.0', by: 'coordinator', previous: '0.2.0' }, { kind: 'refused' }],
    ['too far ahead', { minimumVersion: '0.1.5' }, {}, { kind: 'refused', why: expect.stringContaining('0.1.5') }],
    ['too far ahead and forced', { minimumVersion: '0.1.5' }, { isForced: true }, { kind: 'refused' }],
    ['not made for it', {}, { platform: 'linux-riscv64' }, { kind: 'refused', why: expect.stringContaining('linux-riscv64') }],
    ['not made for a name of objects', {}, { platform: 'constructor' }, { kind: 'refused' }],
    ['taken back before', {}, { rolledBack: takenBack }, { kind: 'refused', why: expect.stringContaining('it crashed') }],
    ['taken back before and forced', {}, { rolledBack: takenBack, isForced: true }, { kind: 'update' }],
    ['another one than was taken back', { version: '0.2.1' }, { rolledBack: takenBack }, { kind: 'update' }],
  ])('%s', (_, changes, machine, expected) => {
    expect(planUpdate(manifest(changes), { ...here, ...machine })).toMatchObject(expected);
  });
});

describe('a signed release', () => {
  const text = JSON.stringify(manifest());
  const signed = async (words = text) => {
    const keys = await generateIdentityKeys();
    return { keys, release: { text: words, signature: await signWith(keys.privateKey, new TextEncoder().encode(words)) } };
  };

  it('is opened with the key that signed it', async () => {
    const { keys, release } = await signed();
    expect(await openManifest(release, keys.publicKey)).toEqual(manifest());
  });

  it('is not opened when a letter of it was changed, with another key, or without one', async () => {
    const { keys, release } = await signed();
    const changed = { ...release, text: text.replace('0.2.0', '0.2.1') };
    await expect(openManifest(changed, keys.publicKey)).rejects.toThrow('not signed');
    await expect(openManifest(release, (await signed()).keys.publicKey)).rejects.toThrow('not signed');
    await expect(openManifest(release, null)).rejects.toThrow('LAI_RELEASE_KEY');
  });

  it('may not name files that a release does not have', async () => {
    const { keys, release } = await signed(JSON.stringify(manifest({ agent: file('../../etc/passwd') })));
    await expect(openManifest(release, keys.publicKey)).rejects.toThrow();
  });
});
