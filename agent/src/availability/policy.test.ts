import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DEFAULT_POLICY, PolicyFile, policyPath, readPolicy } from './policy.ts';

const setUp = () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-policy-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const problems: string[] = [];
  return { folder, problems, write: (text: string) => writeFileSync(policyPath(folder), text) };
};

describe('the policy of the machine’s owner', () => {
  it('has defaults for everything, and needs no file', () => {
    const { folder } = setUp();
    expect(readPolicy(policyPath(folder))).toEqual({ kind: 'policy', policy: DEFAULT_POLICY });
    expect(DEFAULT_POLICY.gaming).toMatchObject({ graceMs: 10_000, whileBusy: 'finish', enterMs: 5_000, leaveMs: 60_000 });
  });

  it('is read again when the file changes', () => {
    const { folder, problems, write } = setUp();
    const file = new PolicyFile(folder, (problem) => problems.push(problem));
    expect(file.refresh()).toBe(false);
    write('{"gaming":{"graceMs":0}}');
    expect(file.refresh()).toBe(true);
    expect(file.policy.gaming.graceMs).toBe(0);
    expect(file.refresh()).toBe(false);
  });

  it.each([
    ['is no JSON', '{', 'is not JSON'],
    ['has a word that nobody knows', '{"gaming":{"gracMs":1}}', 'gracMs'],
    ['has a time that is none', '{"gaming":{"quietHours":[{"from":"25:00","to":"06:00"}]}}', 'HH:MM'],
  ])('stays what it was when the file %s, and that is told once', (_, text, word) => {
    const { folder, problems, write } = setUp();
    write('{"gaming":{"graceMs":7}}');
    const file = new PolicyFile(folder, (problem) => problems.push(problem));
    write(`${text}   `);
    expect(file.refresh()).toBe(false);
    file.refresh();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(word);
    expect(file.policy.gaming.graceMs).toBe(7);
  });
});
