import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ModelEntry } from '@lai/shared/openai';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LAUNCH_CLIENTS, type LaunchTarget } from './clients.ts';
import { chooseModel } from './launch.ts';
import { restoreSettings, writeSettings } from './settings-file.ts';

const target: LaunchTarget = { url: 'http://127.0.0.1:5240', key: 'lai_0123', model: 'qwen3:8b', contextTokens: 40_960 };
const withSettings = LAUNCH_CLIENTS.flatMap((client) =>
  client.settings ? [{ name: client.name, settings: client.settings }] : [],
);
const settingsOf = (name: string) => {
  const found = withSettings.find((client) => client.name === name);
  if (!found) throw new Error(name);
  return found.settings;
};

describe('the clients that lai launch starts', () => {
  it('are those that the documents name', () => {
    expect(LAUNCH_CLIENTS.map(({ name }) => name)).toEqual(['claude', 'codex', 'opencode', 'qwen', 'aider', 'open-webui']);
  });

  it.each(LAUNCH_CLIENTS.map((client) => [client.name, client] as const))(
    '%s gets address, key and model, and its key never on the command line',
    (_, { launch }) => {
      const { args, env } = launch(target);
      const told = JSON.stringify([args, env]);
      for (const part of [target.url, target.key, target.model]) expect(told).toContain(part);
      // Everybody on the machine can read command lines.
      expect(args.join(' ')).not.toContain(target.key);
    },
  );
});

describe('settings that --config writes', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'lai-launch-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));
  const put = (path: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(join(home, path)), { recursive: true });
    writeFileSync(join(home, path), text, { mode });
  };
  const files = (): string[] =>
    readdirSync(home, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));

  it.each(withSettings)('of $name come and go without a trace where there was no file', ({ settings }) => {
    const path = writeSettings(home, settings, target);
    expect(readFileSync(path, 'utf8')).toContain(target.model);
    expect(statSync(path).mode & 0o077).toBe(0);
    expect(restoreSettings(home, settings).kind).toBe('removed');
    expect(files()).toEqual([]);
    expect(restoreSettings(home, settings).kind).toBe('nothing');
  });

  it.each(withSettings)(
    'of $name leave what was there byte for byte after --restore, however often they are written',
    ({ settings }) => {
      fc.assert(
        fc.property(
          fc.array(fc.constantFrom('# mine', '', 'other = "x"', '[table]', 'key: 1', 'A=b', '\t'), { maxLength: 6 }),
          fc.integer({ min: 1, max: 3 }),
          (lines, times) => {
            const isJson = settings.path.endsWith('.json');
            const text = isJson ? `{ "mine": ${JSON.stringify(lines)},\n "env": {"A": "b"} }` : lines.join('\n');
            put(settings.path, text);
            for (let time = 0; time < times; time += 1) writeSettings(home, settings, { ...target, model: `m${time}` });
            restoreSettings(home, settings);
            expect(readFileSync(join(home, settings.path), 'utf8')).toBe(text);
            expect(files()).toHaveLength(1);
          },
        ),
        { numRuns: 30 },
      );
    },
  );

  it('keep what else a person has set', () => {
    put('.claude/settings.json', '{"theme": "dark", "env": {"MINE": "1", "ANTHROPIC_MODEL": "other"}}');
    const claude = JSON.parse(readFileSync(writeSettings(home, settingsOf('claude'), target), 'utf8'));
    expect(claude).toMatchObject({
      theme: 'dark',
      env: { MINE: '1', ANTHROPIC_MODEL: 'qwen3:8b', ANTHROPIC_BASE_URL: target.url },
    });

    put('.codex/config.toml', 'model = "gpt"\napproval_policy = "never"\n\n[profiles.x]\nmodel = "kept"\n');
    const codex = readFileSync(writeSettings(home, settingsOf('codex'), target), 'utf8');
    expect(codex).toContain('approval_policy = "never"');
    expect(codex).toContain('[profiles.x]\nmodel = "kept"');
    expect(codex).not.toContain('"gpt"');
    expect(codex.match(/^model = /gm)).toHaveLength(2);

    put('.qwen/.env', 'MINE=1\nOPENAI_MODEL=other\n');
    expect(readFileSync(writeSettings(home, settingsOf('qwen'), target), 'utf8')).toBe(
      'MINE=1\nOPENAI_API_KEY=lai_0123\nOPENAI_BASE_URL=http://127.0.0.1:5240/v1\nOPENAI_MODEL=qwen3:8b\n',
    );
  });

  it('leave a file alone that cannot be extended', () => {
    put('.claude/settings.json', '{ // mine\n }');
    expect(() => writeSettings(home, settingsOf('claude'), target)).toThrow(/was left as it is.*not plain JSON/);
    put('.codex/config.toml', '[model_providers.lai]\nname = "mine"\n');
    expect(() => writeSettings(home, settingsOf('codex'), target)).toThrow('has a provider called lai');
    expect(files()).toHaveLength(2);
  });

  it('are not thrown away when the person has changed them since', () => {
    const path = writeSettings(home, settingsOf('aider'), target);
    writeFileSync(path, 'mine: true\n');
    expect(() => writeSettings(home, settingsOf('aider'), target)).toThrow('was changed after Lai wrote it');
    restoreSettings(home, settingsOf('aider'));
    expect(existsSync(path)).toBe(false);
    expect(readFileSync(`${path}.with-lai`, 'utf8')).toBe('mine: true\n');
  });
});

describe('the model that is launched with', () => {
  const model = (id: string, more: Partial<ModelEntry> = {}): ModelEntry =>
    ({ id, capabilities: ['chat'], context_length: 8_192, warm: false, simulated: false, ...more }) as ModelEntry;
  it.each<[string, ModelEntry[], string | undefined, string]>([
    ['the one that is named', [model('a'), model('b')], 'b', 'b'],
    ['a name that is not listed, such as an alias', [model('a')], 'fast', 'fast'],
    ['one that is in memory', [model('a'), model('b', { warm: true })], undefined, 'b'],
    ['a real one before a simulated one in memory', [model('a', { warm: true, simulated: true }), model('b')], undefined, 'b'],
    ['one that can chat', [model('a', { capabilities: ['embeddings'] } as Partial<ModelEntry>), model('b')], undefined, 'b'],
    ['a simulated one where there is no other', [model('a', { simulated: true })], undefined, 'a'],
  ])('is %s', (_, models, wanted, expected) => {
    expect(chooseModel(models, wanted).id).toBe(expected);
  });
  it('does not exist where nothing can chat', () => {
    expect(() => chooseModel([])).toThrow('lai pull');
  });
});
