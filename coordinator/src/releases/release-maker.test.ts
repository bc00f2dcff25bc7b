import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ReleaseMaker } from './release-maker.ts';

describe('ReleaseMaker', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lai-maker-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  /** Writes down each start, and then does what the test says. */
  const maker = (body: string) => {
    const program = join(dir, 'make.mjs');
    writeFileSync(
      program,
      `import { appendFileSync, existsSync } from 'node:fs';
       appendFileSync(${JSON.stringify(join(dir, 'starts'))}, process.argv.slice(2).join(' ') + '\\n');
       const until = async (name) => { while (!existsSync(${JSON.stringify(dir)} + '/' + name)) await new Promise((r) => setTimeout(r, 10)); };
       ${body}`,
    );
    return new ReleaseMaker({ outDir: '/out', keyPath: '/key', program, log: pino({ level: 'silent' }) });
  };
  const starts = () => readFileSync(join(dir, 'starts'), 'utf8').trim().split('\n');

  it('runs one program for all who ask for the same system at the same time, and shows its steps', async () => {
    const made = maker(`console.log('fetching Node'); await until('go');`);
    const asked = [made.make('linux'), made.make('linux')];
    await expect.poll(() => made.inProgress).toMatchObject({ os: 'linux', step: 'fetching Node' });
    writeFileSync(join(dir, 'go'), '');
    await Promise.all(asked);
    expect(starts()).toEqual(['--os linux --out /out --key /key']);
    expect(made.inProgress).toBeNull();
  });

  it('makes two systems one after the other', async () => {
    const made = maker('');
    await Promise.all([made.make('linux'), made.make('windows'), made.make('macos')]);
    expect(starts().map((args) => args.split(' ')[1])).toEqual(['linux', 'windows', 'macos']);
  });

  it('fails in the words of the program, and can be asked again', async () => {
    const made = maker(
      `await until('starts'); if (!existsSync(${JSON.stringify(dir)} + '/go')) { console.error('npm could not fetch it'); process.exit(1); }`,
    );
    await expect(made.make('linux')).rejects.toMatchObject({
      code: 'release_failed',
      message: 'The agent for linux could not be prepared: npm could not fetch it',
    });
    writeFileSync(join(dir, 'go'), '');
    await made.make('linux');
  });

  it('says so when it was installed without the sources', () => {
    expect(
      new ReleaseMaker({ outDir: dir, keyPath: dir, program: join(dir, 'no'), log: pino({ level: 'silent' }) }).canMake,
    ).toBe(false);
  });

  it('ends the program when the coordinator stops', async () => {
    const made = maker(`console.log('waiting'); await until('never');`);
    const asked = made.make('linux');
    await expect.poll(() => made.inProgress?.step).toBe('waiting');
    made.close();
    await expect(asked).rejects.toThrow('it was ended by SIGTERM');
  });
});
