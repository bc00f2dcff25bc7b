import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadEnvFile } from 'node:process';
import { describe, expect, it } from 'vitest';
import { keptSettings, mergedSettings, readAnswers } from './settings.ts';

const inFile = <T>(text: string, look: (path: string) => T): T => {
  const dir = mkdtempSync(join(tmpdir(), 'lai-settings-'));
  try {
    const path = join(dir, 'agent.env');
    writeFileSync(path, text);
    return look(path);
  } finally {
    rmSync(dir, { recursive: true });
  }
};

describe('what is kept of an installer’s answers', () => {
  it.each([
    ['LAI_NODE_NAME', true],
    ['LAI_RUNTIME', true],
    ['HTTPS_PROXY', true],
    ['no_proxy', true],
    ['NODE_EXTRA_CA_CERTS', true],
    ['LAI_TOKEN', false],
    ['LAI_URL', false],
    ['LAI_PROGRAM_DIR', false],
    ['LAI_AGENT_DATA_DIR', false],
    ['LAI_PAYLOAD_KEY', false],
    ['LAI_DATABASE_URL', false],
    ['PATH', false],
    ['NODE_OPTIONS', false],
  ])('%s: %s', (name, isKept) => {
    expect(Object.keys(keptSettings({ [name]: 'x' }))).toEqual(isKept ? [name] : []);
  });

  it('is nothing of what is empty', () => {
    expect(keptSettings({ LAI_RUNTIME: '', HTTPS_PROXY: undefined })).toEqual({});
  });

  it('is read word by word', () => {
    const text = 'LAI_TOKEN=laj_1\nLAI_NODE_NAME=the "attic" #2\nnonsense\nHTTPS_PROXY=http://a:b=c@proxy:3128\r\n';
    expect(inFile(text, readAnswers)).toEqual({
      LAI_TOKEN: 'laj_1',
      LAI_NODE_NAME: 'the "attic" #2',
      HTTPS_PROXY: 'http://a:b=c@proxy:3128',
    });
  });
});

describe('the settings file', () => {
  it('changes a setting where it stands, adds new ones, and leaves the owner’s words alone', () => {
    const before = '# mine\nLAI_RUNTIME=ollama\n\nOTHER=1 # why\n';
    expect(mergedSettings(before, { LAI_RUNTIME: 'vllm', LAI_MAX_CONCURRENT: '4' })).toBe(
      '# mine\nLAI_RUNTIME=vllm\n\nOTHER=1 # why\nLAI_MAX_CONCURRENT=4\n',
    );
  });

  it('is the same after the same settings', () => {
    const once = mergedSettings('', { LAI_RUNTIME: 'mock', HTTPS_PROXY: 'http://a b@proxy:1' });
    expect(mergedSettings(once, { LAI_RUNTIME: 'mock', HTTPS_PROXY: 'http://a b@proxy:1' })).toBe(once);
    expect(mergedSettings(once, {})).toBe(once);
  });

  it.each(['plain', 'a b', 'a#b', "it's", 'say "x"', `both ' and "`, '$HOME', 'a=b', 'http://u:p@h:1/'])(
    'gives %j back',
    (value) => {
      const name = 'LAI_SETTINGS_TEST';
      const found = inFile(mergedSettings('', { [name]: value }), (path) => {
        loadEnvFile(path);
        const read = process.env[name];
        delete process.env[name];
        return read;
      });
      expect(found).toBe(value);
    },
  );

  it.each(['two\nlines', `'"\``])('refuses %j, which it could not give back', (value) => {
    expect(() => mergedSettings('', { LAI_X: value })).toThrow('cannot hold');
  });
});
