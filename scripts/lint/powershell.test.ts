import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { awakeCommand } from '../../agent/src/availability/keep-awake.ts';
import { windowsLoop } from '../../agent/src/sensors/foreground-windows.ts';
import { installationOf } from '../../agent/src/service/installation.ts';
import { layoutOf } from '../../agent/src/service/layout.ts';
import { desktopDirOf, lookCommand } from '../../agent/src/service/windows-access.ts';
import { registerCommand } from '../../agent/src/service/windows-desktop.ts';
import { isBroken, powershellFindings } from './powershell.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const installer = read('deploy/agent/install.ps1');

describe('PowerShell', () => {
  it.each(globSync('deploy/**/*.ps1', { cwd: root }))(
    '%s can be read, is made of small functions and runs in 5.1',
    async (path) => {
      expect(await powershellFindings(read(path))).toEqual([]);
    },
  );

  it.each<[string, string, string]>([
    ['a bracket that is not closed', 'function Get-It { if ($a { 1 } }', 'line 1'],
    ['a long function', `function Get-It {\n${'  $a = 1\n'.repeat(30)}}`, 'Get-It has 32 lines'],
    ['a name without a verb', 'function it { 1 }', 'not called Verb-Noun'],
    ['commands joined', 'Get-Item a && Get-Item b', '&&'],
    ['text run as a program', 'iex $text', 'runs text'],
    ['text run as a program', '$text | Invoke-Expression', 'runs text'],
    ['an alias', 'rm file', 'alias'],
    ['letters of another alphabet', "Write-Host 'größer'", 'ASCII'],
    [
      'a name that a block would see instead of its own',
      'function Do-It([scriptblock] $Block, [string] $Text) { & $Block }\n$text = 1',
      'hides',
    ],
  ])('with %s is found', async (_, text, words) => {
    expect((await powershellFindings(text)).join('; ')).toContain(words);
  });

  const pc = installationOf('win32', layoutOf({ platform: 'win32', scope: 'system', home: '', environment: {} }));
  it.each([
    ['games', windowsLoop(4_000)],
    ['the lock against sleep', awakeCommand('win32', 1)?.args.at(-1) ?? ''],
    ['access lists', lookCommand(pc)],
    ['the task at log-on', registerCommand(pc)],
  ])('that the agent itself runs can be read: %s', async (_, text) => {
    expect(text).not.toBe('');
    expect(await isBroken(text)).toBe(false);
  });

  it('may have in a text what it may not have in code', async () => {
    expect(await powershellFindings("# a && b\nWrite-Host 'a && b'")).toEqual([]);
  });
});

describe('the names that scripts and agent share', () => {
  const layout = layoutOf({ platform: 'win32', scope: 'system', home: '', environment: {} });
  const pc = installationOf('win32', layout);

  it('are those of the service, its task and its folders', () => {
    expect(installer).toContain(`$Service = '${layout.serviceName}'`);
    expect(installer).toContain(`$Task = '${/-TaskName (\w+)/.exec(registerCommand(pc))?.[1]}'`);
    expect([layout.programDir, layout.configDir]).toEqual(['C:\\Program Files\\LAI', 'C:\\ProgramData\\LAI']);
    expect(installer).toContain("$Program = Join-Path $env:ProgramFiles 'LAI'");
    expect(installer).toContain("$Config = Join-Path $env:ProgramData 'LAI'");
  });

  it('are those of the desktop’s door', () => {
    const door = desktopDirOf(pc).replace('C:\\ProgramData\\', '');
    expect(read('deploy/agent/windows/lai-desktop.ps1')).toContain(`Join-Path $env:ProgramData '${door}\\door.json'`);
    expect(registerCommand(pc)).toContain('lai-desktop.xml');
    expect(read('deploy/agent/windows/lai-desktop.xml')).toContain('-File "@PROGRAM_DIR@\\lai-desktop.ps1"');
  });

  it('are in a release', () => {
    const files = read('scripts/release/program-files.ts');
    for (const name of ['shawl.exe', 'lai-desktop.ps1', 'lai-desktop.xml', 'lai-agent.cmd'])
      expect(files).toContain(`name: '${name}'`);
  });
});

describe('install.ps1', () => {
  it('does nothing when it arrives in part, wherever it ends', async () => {
    const begins = installer.indexOf('if ($true)');
    expect(installer.slice(0, begins)).toMatch(/^(?:#.*\n)+$/);
    const ends = [...installer.slice(begins).matchAll(/[\s{}()'"|]/g)].map(({ index }) => begins + index);
    // Every place where a word ends takes a while; a sample of them, and each of the last forty characters.
    const sample = ends.filter((_, at) => at % 120 === 0);
    const last = Array.from({ length: 40 }, (_, back) => installer.trimEnd().length - 1 - back);
    for (const end of [...sample, ...last])
      if (end > begins) expect([end, await isBroken(installer.slice(0, end))]).toEqual([end, true]);
    expect(await isBroken(installer)).toBe(false);
  }, 60_000);

  it('takes its switches although it is one block', () => {
    expect(installer.trimEnd().endsWith('} @args }')).toBe(true);
  });

  it('has the three places that the coordinator fills in, once each', () => {
    expect(installer.match(/@LAI_[A-Z_]+@/g)).toEqual(['@LAI_URL@', '@LAI_RELEASE_KEY@', '@LAI_TLS_PIN@']);
  });

  it('does not touch the token but to take it away', () => {
    const lines = installer.split('\n').filter((line) => /LAI_TOKEN/.test(line) && !/^\s*#/.test(line));
    expect(lines.map((line) => line.trim())).toEqual([
      "Remove-Item -Path 'Env:LAI_TOKEN', 'Env:LAI_URL' -ErrorAction SilentlyContinue",
    ]);
  });

  it('opens nothing in the firewall', () => {
    expect(installer).not.toMatch(/New-NetFirewallRule|netsh/i);
  });

  it('changes the computer only where a dry run says so', () => {
    const changing =
      /\b(?:Stop-Service|SetValue|SetEnvironmentVariable|Remove-CimInstance|sc\.exe delete|icacls\.exe|\/Delete)\b/;
    // Each of them is in a step, or in a function that only steps call.
    const inSteps = ['Stop-Agent', 'Edit-MachinePath', 'Remove-Folder'];
    const parts = installer.split(/\n {2}function /);
    for (const part of parts) {
      const name = /^[A-Z]\w+-\w+/.exec(part)?.[0] ?? '';
      if (changing.test(part) && !inSteps.includes(name)) expect([name, part.includes('Invoke-Step')]).toEqual([name, true]);
    }
    expect(installer).toContain("if ($DryRun) { $words += '--dry-run' }");
    for (const name of inSteps) {
      const calls = installer.split('\n').filter((line) => new RegExp(`\\b${name}\\b`).test(line) && !/function /.test(line));
      expect(calls.length).toBeGreaterThan(0);
      for (const call of calls) expect(call).toContain('Invoke-Step');
    }
  });

  describe('checks the release’s signature with a program of its own', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const key = publicKey.export({ format: 'der', type: 'spki' }).subarray(12).toString('base64');
    const other = generateKeyPairSync('ed25519')
      .publicKey.export({ format: 'der', type: 'spki' })
      .subarray(12)
      .toString('base64');
    const verdict = (manifest: string, signed: string, given: string): number => {
      const dir = mkdtempSync(join(tmpdir(), 'lai-verify-'));
      onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
      const script = /return @'\n([\s\S]*?)\n'@/.exec(installer)?.[1] ?? '';
      writeFileSync(join(dir, 'verify.mjs'), script);
      writeFileSync(join(dir, 'manifest.json'), manifest);
      writeFileSync(join(dir, 'manifest.json.sig'), `${sign(null, Buffer.from(signed), privateKey).toString('base64')}\n`);
      try {
        execFileSync(
          process.execPath,
          [join(dir, 'verify.mjs'), join(dir, 'manifest.json'), join(dir, 'manifest.json.sig'), given],
          {
            stdio: 'ignore',
          },
        );
        return 0;
      } catch (error) {
        return (error as { status: number }).status;
      }
    };

    it.each<[string, string, string, number]>([
      ['takes what is signed', '{}', key, 0],
      ['refuses what was changed', '{"a":1}', key, 1],
      ['refuses another key', '{}', other, 1],
    ])('%s', (_, manifest, given, code) => {
      expect(verdict(manifest, '{}', given)).toBe(code);
    });
  });
});
