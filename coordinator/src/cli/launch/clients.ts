/** Programs that `lai launch` starts: how each is told of the coordinator, for one run or in its settings file. Pure. */

export interface LaunchTarget {
  /** Base URL of the coordinator. */
  readonly url: string;
  readonly key: string;
  readonly model: string;
  /** Null: not known. */
  readonly contextTokens: number | null;
}

export interface Launch {
  /** Before those of the person. */
  readonly args: readonly string[];
  /** An undefined value takes the variable away: it would win over ours. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A settings file in the person's home, and what it becomes. */
export interface SettingsFile {
  /** Below the home directory. */
  readonly path: string;
  /** `before`: null where there is no such file. Throws a sentence for a file that cannot be extended. */
  readonly change: (before: string | null, target: LaunchTarget) => string;
}

export interface LaunchClient {
  /** The word after `lai launch`. */
  readonly name: string;
  readonly title: string;
  /** On PATH. */
  readonly program: string;
  readonly install: string;
  readonly launch: (target: LaunchTarget) => Launch;
  /** Null: it has none that could be written without starting it. */
  readonly settings: SettingsFile | null;
}

/** For programs that need a number and models that tell none. */
const USUAL_CONTEXT = 32_768;

const claudeEnv = ({ url, key, model, contextTokens }: LaunchTarget): Record<string, string> => ({
  ANTHROPIC_BASE_URL: url,
  ANTHROPIC_AUTH_TOKEN: key,
  ANTHROPIC_MODEL: model,
  ANTHROPIC_SMALL_FAST_MODEL: model,
  // It takes a million for granted.
  CLAUDE_CODE_MAX_CONTEXT_TOKENS: String(contextTokens ?? USUAL_CONTEXT),
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
});

const claude: LaunchClient = {
  ...{ name: 'claude', title: 'Claude Code', program: 'claude', install: 'npm install --global @anthropic-ai/claude-code' },
  launch: (target) => ({ args: [], env: { ANTHROPIC_API_KEY: undefined, ...claudeEnv(target) } }),
  settings: {
    path: '.claude/settings.json',
    change: (before, target) =>
      withJson(before, (settings) => ({ ...settings, env: { ...objectIn(settings, 'env'), ...claudeEnv(target) } })),
  },
};

const codexProvider = (url: string): Record<string, string> => ({
  name: 'Lai',
  base_url: `${url}/v1`,
  env_key: 'LAI_API_KEY',
  wire_api: 'responses',
});

const codex: LaunchClient = {
  ...{ name: 'codex', title: 'Codex', program: 'codex', install: 'npm install --global @openai/codex' },
  launch: ({ url, key, model, contextTokens }) => {
    const provider = Object.entries(codexProvider(url)).map(
      ([name, value]) => `model_providers.lai.${name}=${JSON.stringify(value)}`,
    );
    const settings = [
      'model_provider="lai"',
      `model=${JSON.stringify(model)}`,
      ...(contextTokens === null ? [] : [`model_context_window=${contextTokens}`]),
      ...provider,
    ];
    return { args: settings.flatMap((setting) => ['-c', setting]), env: { LAI_API_KEY: key } };
  },
  settings: {
    path: '.codex/config.toml',
    change: (before, { url, key, model }) => {
      if (/^\s*\[model_providers\.lai[.\]]/m.test(before ?? '')) throw new Error('It has a provider called lai already.');
      const { env_key: _, ...provider } = codexProvider(url);
      const table = { ...provider, experimental_bearer_token: key };
      return [
        `model = ${JSON.stringify(model)}`,
        'model_provider = "lai"',
        withoutTopLevel(before ?? '', ['model', 'model_provider']),
        '[model_providers.lai]',
        ...Object.entries(table).map(([name, value]) => `${name} = ${JSON.stringify(value)}`),
        '',
      ].join('\n');
    },
  },
};

const opencodeSettings = ({ url, key, model, contextTokens }: LaunchTarget): Record<string, unknown> => ({
  provider: {
    lai: {
      npm: '@ai-sdk/openai-compatible',
      name: 'Lai',
      options: { baseURL: `${url}/v1`, apiKey: key },
      models: { [model]: { name: model, tool_call: true, limit: { context: contextTokens ?? USUAL_CONTEXT, output: 4_096 } } },
    },
  },
  model: `lai/${model}`,
  small_model: `lai/${model}`,
});

const opencode: LaunchClient = {
  ...{ name: 'opencode', title: 'OpenCode', program: 'opencode', install: 'npm install --global opencode-ai' },
  launch: (target) => ({ args: [], env: { OPENCODE_CONFIG_CONTENT: JSON.stringify(opencodeSettings(target)) } }),
  settings: {
    path: '.config/opencode/opencode.json',
    change: (before, target) =>
      withJson(before, (settings) => {
        const ours = opencodeSettings(target);
        return { ...settings, ...ours, provider: { ...objectIn(settings, 'provider'), ...objectIn(ours, 'provider') } };
      }),
  },
};

const qwenEnv = ({ url, key, model }: LaunchTarget): Record<string, string> => ({
  OPENAI_API_KEY: key,
  OPENAI_BASE_URL: `${url}/v1`,
  OPENAI_MODEL: model,
});

const qwen: LaunchClient = {
  ...{ name: 'qwen', title: 'Qwen Code', program: 'qwen', install: 'npm install --global @qwen-code/qwen-code' },
  // Somebody who has signed in elsewhere keeps that; this run uses the key.
  launch: (target) => ({ args: ['--auth-type', 'openai'], env: qwenEnv(target) }),
  settings: {
    path: '.qwen/.env',
    change: (before, target) => {
      const names = Object.keys(qwenEnv(target));
      const others = (before ?? '').split('\n').filter((line) => !names.some((name) => line.trimStart().startsWith(`${name}=`)));
      const ours = Object.entries(qwenEnv(target)).map(([name, value]) => `${name}=${value}`);
      return [...others.join('\n').trimEnd().split('\n').filter(Boolean), ...ours, ''].join('\n');
    },
  },
};

const aider: LaunchClient = {
  ...{ name: 'aider', title: 'aider', program: 'aider', install: 'python3 -m pip install aider-chat' },
  launch: ({ url, key, model }) => ({
    args: ['--model', `openai/${model}`, '--no-show-model-warnings', '--no-check-update', '--no-analytics'],
    // Its library would ask GitHub for prices at each start.
    env: { OPENAI_API_BASE: `${url}/v1`, OPENAI_API_KEY: key, LITELLM_LOCAL_MODEL_COST_MAP: 'True' },
  }),
  settings: {
    path: '.aider.conf.yml',
    change: (before, { url, key, model }) => {
      const ours = {
        model: `openai/${model}`,
        'openai-api-base': `${url}/v1`,
        'openai-api-key': key,
        'show-model-warnings': false,
      };
      const names = Object.keys(ours);
      const others = (before ?? '').split('\n').filter((line) => !names.some((name) => line.startsWith(`${name}:`)));
      return [
        ...others.join('\n').trimEnd().split('\n').filter(Boolean),
        ...Object.entries(ours).map(([name, value]) => `${name}: ${JSON.stringify(value)}`),
        '',
      ].join('\n');
    },
  },
};

const openWebui: LaunchClient = {
  ...{ name: 'open-webui', title: 'Open WebUI', program: 'open-webui', install: 'python3 -m pip install open-webui' },
  launch: ({ url, key, model }) => ({
    args: ['serve', '--host', '127.0.0.1'],
    env: {
      ENABLE_OPENAI_API: 'true',
      OPENAI_API_BASE_URLS: `${url}/v1`,
      OPENAI_API_KEYS: key,
      ENABLE_OLLAMA_API: 'false',
      DEFAULT_MODELS: model,
      // What it has stored itself would win over all of these.
      ENABLE_PERSISTENT_CONFIG: 'False',
    },
  }),
  settings: null,
};

export const LAUNCH_CLIENTS: readonly LaunchClient[] = [claude, codex, opencode, qwen, aider, openWebui];

const withJson = (before: string | null, change: (settings: Record<string, unknown>) => unknown): string => {
  let settings: unknown = {};
  try {
    if (before !== null && before.trim() !== '') settings = JSON.parse(before);
  } catch {
    throw new Error('It is not plain JSON (comments?), so it cannot be extended without losing something.');
  }
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) throw new Error('It holds no JSON object.');
  return `${JSON.stringify(change(settings as Record<string, unknown>), null, 2)}\n`;
};

const objectIn = (settings: Record<string, unknown>, name: string): Record<string, unknown> => {
  const value = settings[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
};

/** TOML without these keys before its first table; they would be there twice. */
const withoutTopLevel = (toml: string, names: readonly string[]): string => {
  const lines = toml.split('\n');
  const firstTable = lines.findIndex((line) => /^\s*\[/.test(line));
  const end = firstTable === -1 ? lines.length : firstTable;
  return lines.filter((line, at) => at >= end || !names.some((name) => new RegExp(`^\\s*${name}\\s*=`).test(line))).join('\n');
};
