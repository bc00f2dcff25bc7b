import { describe, expect, it } from 'vitest';
import { compareVersions, RELEASE_FILE_NAME, ReleaseVersion } from './release.ts';

describe('versions', () => {
  it('are ordered as people count', () => {
    const ordered = ['0.1.0-rc.2', '0.1.0-rc.10', '0.1.0', '0.1.1', '0.2.0', '0.10.0', '1.0.0'];
    expect([...ordered].reverse().sort(compareVersions)).toEqual(ordered);
    for (const version of ordered) expect(compareVersions(version, version)).toBe(0);
  });

  it.each(['', '1.2', 'v1.2.3', '1.2.3/..', '../1.2.3', '1.2.3-', '1.2.3-a/b', '1.2.3\n', '01234567.1.1'])(
    '%j is none',
    (text) => {
      expect(ReleaseVersion.safeParse(text).success).toBe(false);
    },
  );
});

describe('names of release files', () => {
  it.each([
    'agent.tar.gz',
    'linux-x64.tar.gz',
    'win32-x64.zip',
    'darwin-arm64.tar.gz',
    'manifest.json',
    'SHA256SUMS',
    'SHA256SUMS.sig',
  ])('%s', (name) => {
    expect(RELEASE_FILE_NAME.test(name)).toBe(true);
  });
  it.each(['..', 'agent.tar.gz/..', 'agent.tar.gz\n', '%2e%2e', 'linux-x64', '.env', 'manifest.json.sig.sig', ''])(
    'not %j',
    (name) => {
      expect(RELEASE_FILE_NAME.test(name)).toBe(false);
    },
  );
});
