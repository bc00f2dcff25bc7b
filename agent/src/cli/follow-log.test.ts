import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { followLog, lastLines } from './follow-log.ts';

const setUp = () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-follow-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'agent.log');
};

it('the last lines of a log are found, however long it is', () => {
  const file = setUp();
  writeFileSync(file, Array.from({ length: 20_000 }, (_, index) => `line ${index}\n`).join(''));
  expect(lastLines(file, 2).lines).toEqual(['line 19998', 'line 19999']);
  expect(lastLines(file, 0).lines).toEqual([]);
  expect(lastLines(file, 50_000).lines).toHaveLength(20_000);
});

it('a log that is not there is empty', () => {
  expect(lastLines(setUp(), 5)).toEqual({ lines: [], endBytes: 0 });
});

it('a log is followed, also when it is cut meanwhile', async () => {
  const file = setUp();
  writeFileSync(file, 'old and long enough to be longer than the new one\n');
  const leaving = new AbortController();
  const news = followLog(file, lastLines(file, 1).endBytes, leaving.signal);
  const first = news.next();
  appendFileSync(file, 'new\n');
  expect((await first).value).toBe('new\n');
  const second = news.next();
  renameSync(file, `${file}.1`);
  writeFileSync(file, 'cut\n');
  expect((await second).value).toBe('cut\n');
  leaving.abort();
  expect((await news.next()).done).toBe(true);
});
