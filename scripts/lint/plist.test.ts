import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { plistFindings } from './plist.ts';
import { xmlFindings } from './xml.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const good = read('deploy/agent/macos/dev.lai.agent.daemon.plist');

describe('property lists', () => {
  // They are what the agent writes: its own test holds them to that.
  it.each(globSync('deploy/agent/macos/*.plist', { cwd: root }))('%s is one that launchd takes', (path) => {
    expect(plistFindings(read(path))).toEqual([]);
  });

  it.each<[string, string, string, string]>([
    ['a key that launchd does not know', '<key>KeepAlive</key>', '<key>KeepAlife</key>', 'Unrecognized key'],
    ['a number as text', '<integer>5</integer>', '<string>5</string>', 'ThrottleInterval'],
    ['something to expand', '/Users/ada<', '~ada<', 'EnvironmentVariables'],
    ['a program that is not absolute', '<string>/usr/local/lai/lai-agent', '<string>lai-agent', 'ProgramArguments'],
    ['a throttled job', 'Interactive', 'Background', 'throttled'],
    ['root', '<string>ada</string>', '<string>root</string>', 'runs as root'],
    ['a daemon without a home', '<key>HOME</key>', '<key>HOUSE</key>', 'no HOME'],
    ['one that stays dead', '<key>KeepAlive</key>\n  <true/>', '<key>KeepAlive</key>\n  <false/>', 'does not come back'],
    ['a tag that is not closed', '</dict>\n</plist>', '</plist>', 'rror'],
    ['a bare ampersand', '/Users/ada<', '/Users/R&D<', 'rror'],
    ['half a file', good.slice(good.length / 2), '', 'rror'],
  ])('with %s is not', (_, part, instead, words) => {
    const findings = plistFindings(good.replace(part, instead));
    expect(good).toContain(part);
    expect(findings.join('; ')).toContain(words);
  });
});

describe('the task of the desktop’s reporter', () => {
  const task = read('deploy/agent/windows/lai-desktop.xml');

  it('is XML without an encoding that its file does not have', () => {
    expect(xmlFindings(task)).toEqual([]);
    expect(task).not.toMatch(/encoding=/);
    expect(task).toMatch(/^[\x20-\x7e\n]*$/);
  });

  it('belongs to whoever logs in, without their rights, and for as long as they stay', () => {
    expect(task).toContain('<GroupId>S-1-5-32-545</GroupId>');
    expect(task).toContain('<RunLevel>LeastPrivilege</RunLevel>');
    expect(task).toContain('<ExecutionTimeLimit>PT0S</ExecutionTimeLimit>');
    expect(task).toContain('<StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>');
  });
});
