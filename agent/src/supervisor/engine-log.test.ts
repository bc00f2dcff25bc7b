import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EngineLog } from './engine-log.ts';

const setUp = () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-log-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, file: path.join(folder, 'logs', 'engine.log') };
};

describe('the log of an engine', () => {
  it('is cut when it is full; the oldest file goes', () => {
    const { file } = setUp();
    const log = new EngineLog(file, { fileBytes: 20, files: 3 });
    for (let line = 1; line <= 9; line += 1) log.write(`line ${line}..`);
    log.close();
    expect(readdirSync(path.dirname(file)).sort()).toEqual(['engine.log', 'engine.log.1', 'engine.log.2']);
    expect(readFileSync(file, 'utf8')).toBe('line 9..\n');
    expect(readFileSync(`${file}.1`, 'utf8')).toBe('line 7..\nline 8..\n');
    expect(readFileSync(`${file}.2`, 'utf8')).toBe('line 5..\nline 6..\n');
  });

  it('goes on where an earlier run stopped', () => {
    const { file } = setUp();
    for (const word of ['first', 'second']) {
      const log = new EngineLog(file);
      log.write(word);
      log.close();
    }
    expect(readFileSync(file, 'utf8')).toBe('first\nsecond\n');
  });

  it.runIf(process.platform !== 'win32')('is for its owner alone: engines print prompts', () => {
    const { file } = setUp();
    new EngineLog(file).write('x');
    expect(statSync(file).mode & 0o077).toBe(0);
  });

  it('that cannot be written is silent', () => {
    const { folder } = setUp();
    expect(() => new EngineLog(folder).write('x')).not.toThrow();
  });
});
