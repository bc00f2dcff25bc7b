import { execFileSync } from 'node:child_process';
import { BaseUrl } from '@lai/shared/release-api';
import { describe, expect, it } from 'vitest';
import { installer, type JoinLine, joinLine } from './installers.ts';

const url = 'https://lai.example.org';
const token = 'laj_0123456789ab_00000000000000000000000000000000_11111111111111111111111111111111';
const line = (changes: Partial<JoinLine>) =>
  joinLine({ os: 'linux', url, pin: null, token, isInsecure: false, isForUser: false, isDryRun: false, ...changes });

describe('the line to paste', () => {
  it.each<[string, Partial<JoinLine>, string]>([
    ['Linux', {}, `curl -fsS '${url}/install.sh' | LAI_TOKEN='${token}' sh`],
    ['macOS', { os: 'macos' }, `curl -fsS '${url}/install.sh' | LAI_TOKEN='${token}' sh`],
    ['one user', { isForUser: true }, `curl -fsS '${url}/install.sh' | LAI_TOKEN='${token}' sh -s -- --user`],
    ['a look', { isDryRun: true, token: null }, `curl -fsS '${url}/install.sh' | sh -s -- --dry-run`],
    ['a trusted network', { isInsecure: true }, `curl -fsS '${url}/install.sh' | LAI_TOKEN='${token}' LAI_INSECURE='true' sh`],
    [
      "a coordinator's own certificate",
      { pin: 'abc+/=' },
      `curl -fsSk --pinnedpubkey 'sha256//abc+/=' '${url}/install.sh' | LAI_TOKEN='${token}' sh`,
    ],
    [
      "a coordinator's own certificate, on Windows",
      { os: 'windows', pin: 'abc+/=' },
      `$env:LAI_TOKEN='${token}'; curl.exe -fsSk --pinnedpubkey 'sha256//abc+/=' '${url}/install.ps1' | Out-String | iex`,
    ],
    ['Windows', { os: 'windows' }, `$env:LAI_TOKEN='${token}'; irm '${url}/install.ps1' | iex`],
    [
      'a look at Windows',
      { os: 'windows', isDryRun: true, token: null },
      `& ([scriptblock]::Create((irm '${url}/install.ps1'))) -DryRun`,
    ],
  ])('for %s', (_, changes, expected) => {
    expect(line(changes)).toBe(expected);
  });

  it('shows the token to the shell alone, not to everybody who lists processes', () => {
    // The shell behind the pipe says what it was called with, and what it was told.
    const args = 'ps -o args= -p $$ 2>/dev/null || tr "\\0" " " </proc/$$/cmdline';
    const said = execFileSync('sh', ['-c', `curl() { echo '${args}; echo; echo "token: $LAI_TOKEN"'; }; ${line({})}`], {
      encoding: 'utf8',
    });
    const [calledWith = '', told] = said.split('token: ');
    expect(calledWith.trim()).toMatch(/^(\S*\/)?sh$/);
    expect(told?.trim()).toBe(token);
  });
});

describe('an installer', () => {
  it.each(['install.sh', 'install.ps1'] as const)('%s knows where it came from, and whose signature counts', async (name) => {
    const releaseKey = `${'A'.repeat(43)}=`;
    const pin = `${'B'.repeat(43)}=`;
    const text = await installer(name, { url, releaseKey, pin });
    expect(text).toContain(`'${pin}'`);
    expect(await installer(name, { url, releaseKey, pin: null })).not.toMatch(/@LAI_\w+@/);
    expect(text).not.toMatch(/@LAI_\w+@/);
    expect(text).toContain(`'${url}'`);
    expect(text).toContain(`'${releaseKey}'`);
  });
});

describe('an address that becomes part of a script', () => {
  it.each([
    ['https://lai.example.org', 'https://lai.example.org'],
    ['http://10.0.0.1:5240/', 'http://10.0.0.1:5240'],
    ['https://[fd00::1]:5240', 'https://[fd00::1]:5240'],
    ['https://home.example/lai', 'https://home.example/lai'],
  ])('may be %s', (text, expected) => {
    expect(BaseUrl.parse(text)).toBe(expected);
  });

  it.each([
    'ftp://lai.example',
    'lai.example',
    "https://a'$(id)'",
    'https://a b',
    'https://a/$(id)',
    'https://a`id`',
    'https://a\nb',
    'https://user:secret@a',
    'https://a?x=1',
    'https://-a',
    'https://a/../b',
    'https://',
    'http://[::1',
    'http://[5:A:]/',
    'http://a:98287',
    `https://${'a'.repeat(400)}`,
  ])('may not be %j', (text) => {
    expect(BaseUrl.safeParse(text).success).toBe(false);
  });
});
