/** `lai launch` with a program that says what it was told; the real ones are in `npm run clients`. */
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyView } from '../../shared/src/admin-api.ts';
import { Fleet } from './fleet.ts';
import { Program } from './program.ts';

const LAI = join(import.meta.dirname, '../../coordinator/dist/lai.js');

describe('lai launch', () => {
  let fleet: Fleet;
  let bin: string;
  let home: string;
  beforeAll(async () => {
    fleet = await Fleet.start({ nodes: [{ name: 'house', models: 'talker=0.5GB,slots=2,tps=500,ctx=8192,caps=chat' }] });
    await fleet.until('its model is told', ({ nodes }) => (nodes[0]?.snapshot?.models.length ?? 0) > 0);
    bin = join(fleet.directory, 'bin');
    home = join(fleet.directory, 'home');
    for (const dir of [bin, home]) mkdirSync(dir);
    writeFileSync(
      join(bin, 'claude'),
      '#!/bin/sh\necho "args: $*"; echo "url: $ANTHROPIC_BASE_URL model: $ANTHROPIC_MODEL key: $ANTHROPIC_AUTH_TOKEN other: [$ANTHROPIC_API_KEY]"; exit 7\n',
    );
    chmodSync(join(bin, 'claude'), 0o755);
  });
  afterAll(async () => {
    await fleet?.stop();
  });

  const launch = async (...args: string[]) => {
    const env = { ...fleet.env, HOME: home, PATH: `${bin}:/usr/bin:/bin`, ANTHROPIC_API_KEY: 'of-the-person' };
    const program = new Program('lai launch', [LAI, 'launch', ...args], env);
    return { code: await program.exited, text: program.text, key: /key: (lai_\w+)/.exec(program.text)?.[1] };
  };
  const keys = async (): Promise<KeyView[]> =>
    (JSON.parse(await fleet.lai('keys', 'list', '--json')) as KeyView[]).filter(({ name }) => name === 'claude by lai launch');

  it('tells the program of address, model and a key of its own, and passes arguments and exit code on', async () => {
    const { code, text, key } = await launch('claude', '--', '-p', 'hello');
    expect(text).toContain('args: -p hello');
    expect(text).toContain(`url: ${fleet.url} model: talker`);
    expect(text).toContain('other: []');
    expect(code).toBe(7);
    expect(key).not.toBe(fleet.key);
    const [view] = await keys();
    expect(view).toMatchObject({ scopes: ['inference'], state: 'valid' });
    expect(text).toContain(`lai keys revoke ${view?.id}`);
  });

  it('takes the same key again, and another one when that was revoked', async () => {
    const before = await launch('claude');
    expect((await launch('claude')).key).toBe(before.key);
    expect(await keys()).toHaveLength(1);
    await fleet.lai('keys', 'revoke', (await keys())[0]?.id ?? '');
    const after = await launch('claude');
    expect(after.key).toMatch(/^lai_/);
    expect(after.key).not.toBe(before.key);
  });

  it('writes the settings file when that is asked for, and puts back what was there', async () => {
    const path = join(home, '.claude/settings.json');
    expect((await launch('claude', '--config')).text).toContain(path);
    expect(JSON.parse(readFileSync(path, 'utf8')).env.ANTHROPIC_MODEL).toBe('talker');
    expect(statSync(path).mode & 0o077).toBe(0);
    expect((await launch('claude', '--restore')).text).toContain('is removed');
    expect(existsSync(path)).toBe(false);
  });

  it('says how to install what is not there, and which there are', async () => {
    expect(await launch('codex')).toMatchObject({
      code: 1,
      text: expect.stringContaining(
        'Codex is not installed: there is no codex on PATH. Install it: npm install --global @openai/codex',
      ),
    });
    const unknown = await launch('emacs');
    expect(unknown.code).not.toBe(0);
    expect(unknown.text).toContain('does not know "emacs". It starts: claude, codex, opencode, qwen, aider');
  });
});
