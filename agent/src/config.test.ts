import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AgentConfig, defaultDataDir, readConfig } from './config.ts';

describe('settings of the agent', () => {
  it('have a default each, except those that may be absent', () => {
    expect(readConfig({ name: 'attic', dataDir: '/data' }, {})).toEqual({
      dataDir: '/data',
      name: 'attic',
      runtime: 'auto',
      ollamaUrl: 'http://127.0.0.1:11434',
      ollamaSlots: 1,
      ollamaMode: 'auto',
      modelsDir: path.join('/data', 'models'),
      llamaServerSlots: 2,
      llamaServerModelsMax: 4,
      vllmUrl: 'http://127.0.0.1:8000',
      vllmSlots: 8,
      vllmSleepLevel: 0,
      lmstudioUrl: 'http://127.0.0.1:1234',
      mlxUrl: 'http://127.0.0.1:8080',
      idleUnloadMinutes: 10,
      allowedPulls: ['*', 'hf.co/*', 'huggingface.co/*', 'registry.ollama.ai/*'],
      modelCapabilities: [],
      mockProfile: 'linux-3070',
      standIn: true,
      maxConcurrent: 16,
      localPort: 5241,
      measure: false,
      insecure: false,
      logLevel: 'info',
    });
  });

  it('are called after the machine when nobody named it', () => {
    expect(readConfig({}, {}).name).toMatch(/^[A-Za-z0-9 ._-]{1,64}$/);
  });

  /** Every setting: its variable, what the variable says and how that reads, and a flag that says otherwise. */
  const settings: Record<keyof AgentConfig, { variable: string; text: string; value: unknown; flag: unknown }> = {
    dataDir: { variable: 'LAI_AGENT_DATA_DIR', text: '/from/env', value: '/from/env', flag: '/from/flag' },
    url: { variable: 'LAI_URL', text: 'http://a:5240', value: 'http://a:5240', flag: 'http://b:5240' },
    name: { variable: 'LAI_NODE_NAME', text: 'attic', value: 'attic', flag: 'cellar' },
    runtime: { variable: 'LAI_RUNTIME', text: 'mock', value: 'mock', flag: 'ollama' },
    ollamaUrl: { variable: 'LAI_OLLAMA_URL', text: 'http://a:1', value: 'http://a:1', flag: 'http://b:1' },
    ollamaSlots: { variable: 'LAI_OLLAMA_SLOTS', text: '4', value: 4, flag: 3 },
    ollamaMode: { variable: 'LAI_OLLAMA_MODE', text: 'own', value: 'own', flag: 'adopt' },
    ollamaProgram: { variable: 'LAI_OLLAMA_PROGRAM', text: '/bin/sh', value: '/bin/sh', flag: 'ollama' },
    modelsDir: { variable: 'LAI_MODELS_DIR', text: '/models', value: '/models', flag: '/other' },
    ollamaContext: { variable: 'LAI_OLLAMA_CONTEXT', text: '8192', value: 8_192, flag: 4_096 },
    llamaServerContext: { variable: 'LAI_LLAMA_SERVER_CONTEXT', text: '8192', value: 8_192, flag: 4_096 },
    llamaServerModelsMax: { variable: 'LAI_LLAMA_SERVER_MODELS_MAX', text: '2', value: 2, flag: 1 },
    vllmUrl: { variable: 'LAI_VLLM_URL', text: 'http://a:1', value: 'http://a:1', flag: 'http://b:1' },
    vllmApiKey: { variable: 'LAI_VLLM_API_KEY', text: 'k', value: 'k', flag: 'l' },
    vllmModel: { variable: 'LAI_VLLM_MODEL', text: 'qwen/qwen3-8b', value: 'qwen/qwen3-8b', flag: '/models/x' },
    vllmSlots: { variable: 'LAI_VLLM_SLOTS', text: '16', value: 16, flag: 4 },
    vllmSleepLevel: { variable: 'LAI_VLLM_SLEEP_LEVEL', text: '1', value: 1, flag: 2 },
    lmstudioUrl: { variable: 'LAI_LMSTUDIO_URL', text: 'http://a:1', value: 'http://a:1', flag: 'http://b:1' },
    lmstudioApiKey: { variable: 'LAI_LMSTUDIO_API_KEY', text: 'k', value: 'k', flag: 'l' },
    mlxUrl: { variable: 'LAI_MLX_URL', text: 'http://a:1', value: 'http://a:1', flag: 'http://b:1' },
    modelCapabilities: {
      variable: 'LAI_MODEL_CAPABILITIES',
      text: 'qwen*=tools,vision; tiny=-tools',
      value: [
        { pattern: 'qwen*', adds: ['tools', 'vision'], removes: [] },
        { pattern: 'tiny', adds: [], removes: ['tools'] },
      ],
      flag: [{ pattern: 'a', adds: ['json'], removes: [] }],
    },
    idleUnloadMinutes: { variable: 'LAI_IDLE_UNLOAD_MINUTES', text: '0', value: 0, flag: 30 },
    allowedPulls: { variable: 'LAI_ALLOWED_PULLS', text: 'llama3*, hf.co/*', value: ['llama3*', 'hf.co/*'], flag: ['x'] },
    llamaServerSlots: { variable: 'LAI_LLAMA_SERVER_SLOTS', text: '5', value: 5, flag: 6 },
    mockUrl: { variable: 'LAI_MOCK_URL', text: 'http://a:2', value: 'http://a:2', flag: 'http://b:2' },
    standIn: { variable: 'LAI_STAND_IN', text: 'no', value: false, flag: true },
    mockProfile: { variable: 'LAI_MOCK_PROFILE', text: 'mac-m1', value: 'mac-m1', flag: 'windows-rtx' },
    maxConcurrent: { variable: 'LAI_MAX_CONCURRENT', text: '8', value: 8, flag: 9 },
    localPort: { variable: 'LAI_LOCAL_PORT', text: '0', value: 0, flag: 6000 },
    measure: { variable: 'LAI_MEASURE', text: 'true', value: true, flag: false },
    programDir: { variable: 'LAI_PROGRAM_DIR', text: '/opt/lai', value: '/opt/lai', flag: '/opt/other' },
    releaseKey: {
      variable: 'LAI_RELEASE_KEY',
      text: `${'A'.repeat(43)}=`,
      value: `${'A'.repeat(43)}=`,
      flag: `${'B'.repeat(43)}=`,
    },
    insecure: { variable: 'LAI_INSECURE', text: 'true', value: true, flag: false },
    logLevel: { variable: 'LAI_LOG_LEVEL', text: 'debug', value: 'debug', flag: 'warn' },
  };

  describe.each(Object.entries(settings))('%s', (setting, { variable, text, value, flag }) => {
    const read = (flags: Record<string, unknown>, env: NodeJS.ProcessEnv) =>
      (readConfig(flags, env) as Record<string, unknown>)[setting];

    it('is read from its variable', () => {
      expect(read({}, { [variable]: text })).toEqual(value);
    });

    it('is read from its flag first', () => {
      expect(read({ [setting]: flag }, { [variable]: text })).toEqual(flag);
    });

    it('is not set by an empty variable or an absent flag', () => {
      expect(read({ [setting]: undefined }, { [variable]: '' })).toEqual(read({}, {}));
    });
  });

  it('take over how many requests Ollama itself was told to run side by side', () => {
    expect(readConfig({}, { OLLAMA_NUM_PARALLEL: '3' }).ollamaSlots).toEqual(3);
    expect(readConfig({}, { OLLAMA_NUM_PARALLEL: '3', LAI_OLLAMA_SLOTS: '2' }).ollamaSlots).toEqual(2);
  });

  it('keep models below the data folder that counts', () => {
    expect(readConfig({}, { LAI_AGENT_DATA_DIR: '/env' }).modelsDir).toBe(path.join('/env', 'models'));
    expect(readConfig({ dataDir: '/flag' }, { LAI_AGENT_DATA_DIR: '/env' }).modelsDir).toBe(path.join('/flag', 'models'));
  });

  it.each([
    ['localhost:11434', 'http://localhost:11434'],
    ['127.0.0.1:11434', 'http://127.0.0.1:11434'],
    ['[::1]:11434', 'http://[::1]:11434'],
    ['gpu-box.lan:11434', 'http://gpu-box.lan:11434'],
    ['http://127.0.0.1:11434/', 'http://127.0.0.1:11434'],
    [' http://127.0.0.1:11434 ', 'http://127.0.0.1:11434'],
    ['HTTP://LOCALHOST:11434', 'http://localhost:11434'],
    ['http://localhost', 'http://localhost'],
  ])('take %j for an engine as %s', (text, url) => {
    for (const [variable, setting] of [
      ['LAI_OLLAMA_URL', 'ollamaUrl'],
      ['LAI_VLLM_URL', 'vllmUrl'],
      ['LAI_LMSTUDIO_URL', 'lmstudioUrl'],
      ['LAI_MLX_URL', 'mlxUrl'],
      ['LAI_MOCK_URL', 'mockUrl'],
    ] as const)
      expect(readConfig({}, { [variable]: text })[setting]).toBe(url);
  });

  it('are spelled from where the program was started, and kept whole', () => {
    const { dataDir, modelsDir } = readConfig({ dataDir: 'd7' }, {});
    expect({ dataDir, modelsDir }).toEqual({ dataDir: path.resolve('d7'), modelsDir: path.resolve('d7', 'models') });
    expect(readConfig({}, { LAI_MODELS_DIR: 'gguf' }).modelsDir).toBe(path.resolve('gguf'));
  });

  const NO_ENGINE_URLS = [
    'localhost',
    'https://127.0.0.1:11434',
    'http://127.0.0.1:11434/ollama',
    'http://127.0.0.1:11434/v1',
    'http://127.0.0.1:11434?x=1',
    'http://user:secret@127.0.0.1:11434',
    'http://127.0.0.1:99999',
    'tcp://127.0.0.1:11434',
    'not a url',
    '11434',
  ];
  const NO_COUNTS = ['0', '-1', '1.5', 'many', '4k'];
  /** What people write instead of what was meant, for every setting of docs/settings.md. */
  const MISTAKES: Record<string, readonly string[]> = {
    LAI_AGENT_DATA_DIR: ['~/lai', 'file:///srv/lai', import.meta.filename],
    LAI_URL: ['not a url', 'lai.example', 'ftp://lai.example', 'https://lai.example?x=1'],
    LAI_NODE_NAME: ['a/b', 'x'.repeat(65), 'büro'],
    LAI_INSECURE: ['maybe', '2'],
    LAI_RUNTIME: ['tensorrt', 'Ollama', 'llama.cpp'],
    LAI_MAX_CONCURRENT: [...NO_COUNTS, '1001'],
    LAI_IDLE_UNLOAD_MINUTES: ['10m', '-1', 'never'],
    LAI_ALLOWED_PULLS: ['a b', ',', 'llama3;qwen3', '"llama3*"'],
    LAI_OLLAMA_URL: NO_ENGINE_URLS,
    LAI_OLLAMA_MODE: ['Own', 'manage'],
    LAI_OLLAMA_PROGRAM: ['~/bin/ollama', '/nowhere/ollama', 'file:///usr/bin/ollama'],
    LAI_OLLAMA_SLOTS: NO_COUNTS,
    LAI_OLLAMA_CONTEXT: NO_COUNTS,
    LAI_MODELS_DIR: ['~/models', import.meta.filename],
    LAI_LLAMA_SERVER_SLOTS: NO_COUNTS,
    LAI_LLAMA_SERVER_CONTEXT: NO_COUNTS,
    LAI_LLAMA_SERVER_MODELS_MAX: NO_COUNTS,
    LAI_VLLM_URL: NO_ENGINE_URLS,
    LAI_VLLM_API_KEY: ['two words', 'key\n', 'schlüssel'],
    LAI_VLLM_MODEL: ['--help', 'qwen/qwen3 8b\n'],
    LAI_VLLM_SLOTS: NO_COUNTS,
    LAI_VLLM_SLEEP_LEVEL: ['3', '-1', 'deep', '0.5'],
    LAI_MODEL_CAPABILITIES: ['m', 'm=', 'm=fly', '=tools'],
    LAI_LMSTUDIO_URL: NO_ENGINE_URLS,
    LAI_LMSTUDIO_API_KEY: ['two words', 'key\n'],
    LAI_MLX_URL: NO_ENGINE_URLS,
    LAI_MOCK_URL: NO_ENGINE_URLS,
    LAI_MOCK_PROFILE: ['linux', 'mac'],
    LAI_STAND_IN: ['maybe'],
    LAI_LOCAL_PORT: ['65536', '-1', '52.5', ':5241'],
    LAI_MEASURE: ['maybe'],
    LAI_PROGRAM_DIR: ['~/lai', import.meta.filename],
    LAI_RELEASE_KEY: ['a2V5', 'release.pub'],
    LAI_LOG_LEVEL: ['loud', 'INFO'],
  };

  it.each(Object.entries(MISTAKES).flatMap(([variable, texts]) => texts.map((text) => [variable, text] as const)))(
    'refuse %s=%s, name it and say what to write',
    (variable, text) => {
      expect(() => readConfig({}, { [variable]: text })).toThrow(
        new RegExp(`cannot be used\\. ${variable} is .*: .*(?:use|write|expected) `),
      );
    },
  );

  it('never repeat a secret', () => {
    expect(() => readConfig({}, { LAI_VLLM_API_KEY: 'my secret' })).not.toThrow(/my secret/);
  });

  it('are all known to docs/settings.md, and each has its mistakes', async () => {
    const page = await readFile(path.join(import.meta.dirname, '../../docs/settings.md'), 'utf8');
    const ours = page.slice(page.indexOf('## Agent'));
    const documented = ours
      .split('\n')
      .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name));
    expect(documented.toSorted()).toEqual(Object.keys(MISTAKES).toSorted());
  });

  it('name every wrong one at once', () => {
    const wrong = () => readConfig({ maxConcurrent: 0 }, { LAI_RUNTIME: 'x', LAI_LOG_LEVEL: 'y' });
    for (const setting of ['--max-concurrent', 'LAI_RUNTIME', 'LAI_LOG_LEVEL']) expect(wrong).toThrow(setting);
  });

  it('cannot be changed afterwards', () => {
    const config = readConfig({}, {});
    expect(() => Object.assign(config, { maxConcurrent: 99 })).toThrow(TypeError);
  });
});

describe('the data folder', () => {
  const home = os.homedir();

  it.each<[NodeJS.Platform, NodeJS.ProcessEnv, string]>([
    ['darwin', {}, path.join(home, 'Library', 'Application Support', 'Lai', 'agent')],
    ['win32', { ProgramData: 'C:\\ProgramData' }, path.join('C:\\ProgramData', 'Lai', 'agent')],
    ['win32', {}, path.join(home, 'AppData', 'Local', 'Lai', 'agent')],
    ['linux', { XDG_DATA_HOME: '/xdg' }, '/xdg/lai/agent'],
    ['linux', {}, path.join(home, '.local', 'share', 'lai', 'agent')],
    ['linux', { XDG_DATA_HOME: '' }, path.join(home, '.local', 'share', 'lai', 'agent')],
  ])('on %s with %j is %s', (platform, env, folder) => {
    expect(defaultDataDir(env, platform)).toBe(folder);
  });
});
