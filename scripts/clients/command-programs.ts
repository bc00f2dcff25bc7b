import { join } from 'node:path';
import { COMMANDS, PYTHON_COMMANDS } from './packages.ts';

/** Where a command-line program is pointed at. */
export interface Target {
  readonly url: string;
  readonly key: string;
  readonly model: string;
}

/** How one run of a program is started. Everything it writes at home goes into a folder of its own. */
export interface Start {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Laid into its home before, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** What it reads from its standard input. */
  readonly stdin?: string;
  /** Run before, once, in the same home. */
  readonly before?: readonly string[];
}

export interface Command {
  readonly name: string;
  readonly client: string;
  readonly version: string;
  readonly surface: string;
  readonly packages: Readonly<Record<string, string>>;
  /** From PyPI instead of npm; the program then lies in its `bin`. */
  readonly isPython?: boolean;
  /** It edits files by what the model writes, and has it call nothing. */
  readonly callsNoTools?: boolean;
  /** Below `node_modules`; programs for the platform lie in packages of their own. */
  readonly program: string;
  /** `image` is a PNG, as a file and in base64. */
  start(target: Target, prompt: string, image: { readonly path: string; readonly base64: string } | null): Start;
  /** False when it takes no image on its command line. */
  readonly takesImages: boolean;
  /** What it says when the prompt is longer than the context. */
  readonly saysTooLong: RegExp;
  /** Started by `lai launch`, under this name, which tells it of the coordinator; `start` gives its own arguments alone. */
  readonly launch?: { readonly client: string; readonly program: string };
}

const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

/** The coordinator's own words. */
const LONGER = /longer than the model's context|context (?:window|length)/i;

const codex: Command = {
  ...{ name: 'codex', client: 'Codex', surface: 'Responses', packages: COMMANDS.codex, version: COMMANDS.codex['@openai/codex'] },
  program: '.bin/codex',
  takesImages: true,
  saysTooLong: /ran out of room/,
  start: ({ url, key, model }, prompt, image) => ({
    args: [
      'exec',
      '--skip-git-repo-check',
      '--dangerously-bypass-approvals-and-sandbox',
      prompt,
      ...(image ? ['-i', image.path] : []),
    ],
    env: { LAI_KEY: key },
    files: {
      '.codex/config.toml': [
        `model = "${model}"`,
        'model_provider = "lai"',
        '[model_providers.lai]',
        'name = "Lai"',
        `base_url = "${url}/v1"`,
        'env_key = "LAI_KEY"',
        'wire_api = "responses"',
      ].join('\n'),
    },
  }),
};

/** Images come in with a message as the API has it. */
const claudeMessage = (text: string, data: string): string => {
  const source = { type: 'base64', media_type: 'image/png', data };
  const content = [
    { type: 'image', source },
    { type: 'text', text },
  ];
  return `${JSON.stringify({ type: 'user', message: { role: 'user', content } })}\n`;
};

const claudeCode: Command = {
  ...{ name: 'claude-code', client: 'Claude Code', surface: 'Messages', packages: COMMANDS['claude-code'] },
  version: COMMANDS['claude-code']['@anthropic-ai/claude-code'],
  program: `@anthropic-ai/claude-code-${platform}/claude`,
  takesImages: true,
  saysTooLong: /too long|compact/i,
  start: ({ url, key, model }, prompt, image) => ({
    ...(image
      ? {
          args: ['-p', '--input-format', 'stream-json', '--output-format', 'stream-json', '--verbose'],
          stdin: claudeMessage(prompt, image.base64),
        }
      : { args: ['-p', prompt, '--allowedTools', 'Bash'] }),
    env: {
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_AUTH_TOKEN: key,
      ANTHROPIC_MODEL: model,
      ANTHROPIC_SMALL_FAST_MODEL: model,
      CLAUDE_CODE_MAX_CONTEXT_TOKENS: '131072',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    },
  }),
};

const opencode: Command = {
  ...{
    name: 'opencode',
    client: 'OpenCode',
    surface: 'chat',
    packages: COMMANDS.opencode,
    version: COMMANDS.opencode['opencode-ai'],
  },
  program: `opencode-${platform}/bin/opencode`,
  takesImages: true,
  saysTooLong: LONGER,
  start: ({ url, key, model }, prompt, image) => ({
    args: ['run', prompt, ...(image ? ['-f', image.path] : [])],
    env: {
      OPENCODE_CONFIG_CONTENT: JSON.stringify({
        provider: {
          lai: {
            npm: '@ai-sdk/openai-compatible',
            name: 'Lai',
            options: { baseURL: `${url}/v1`, apiKey: key },
            models: {
              [model]: {
                name: model,
                tool_call: true,
                attachment: true,
                modalities: { input: ['text', 'image'], output: ['text'] },
                limit: { context: 131_072, output: 4_096 },
              },
            },
          },
        },
        model: `lai/${model}`,
        small_model: `lai/${model}`,
        autoupdate: false,
        share: 'disabled',
      }),
    },
  }),
};

const cline: Command = {
  ...{ name: 'cline', client: 'Cline', surface: 'chat', packages: COMMANDS.cline, version: COMMANDS.cline.cline },
  program: '.bin/cline',
  takesImages: false,
  saysTooLong: LONGER,
  start: ({ url, key, model }, prompt) => ({
    before: ['auth', '-p', 'openai-compatible', '-k', key, '-m', model, '-b', `${url}/v1`],
    args: ['-P', 'openai-compatible', '-m', model, prompt],
    env: { DO_NOT_TRACK: '1' },
  }),
};

const continueCli: Command = {
  ...{
    name: 'continue',
    client: 'Continue',
    surface: 'chat',
    packages: COMMANDS.continue,
    version: COMMANDS.continue['@continuedev/cli'],
  },
  program: '.bin/cn',
  takesImages: false,
  saysTooLong: LONGER,
  start: ({ url, key, model }, prompt) => ({
    args: ['--config', 'lai.yaml', '--auto', '-p', prompt],
    files: {
      'lai.yaml': [
        'name: lai',
        'version: 1.0.0',
        'schema: v1',
        'models:',
        `  - name: ${model}`,
        '    provider: openai',
        `    model: ${model}`,
        `    apiBase: ${url}/v1`,
        `    apiKey: ${key}`,
        '    roles: [chat]',
        '    capabilities: [tool_use]',
      ].join('\n'),
    },
  }),
};

const qwenCode: Command = {
  ...{ name: 'qwen-code', client: 'Qwen Code', surface: 'chat', packages: COMMANDS['qwen-code'] },
  version: COMMANDS['qwen-code']['@qwen-code/qwen-code'],
  program: '.bin/qwen',
  takesImages: false,
  saysTooLong: LONGER,
  start: ({ url, key, model }, prompt) => ({
    args: ['--approval-mode', 'yolo', '-p', prompt],
    env: { OPENAI_API_KEY: key, OPENAI_BASE_URL: `${url}/v1`, OPENAI_MODEL: model },
  }),
};

const aider: Command = {
  ...{ name: 'launch-aider', client: '`lai launch aider`: aider', surface: 'chat', packages: PYTHON_COMMANDS.aider },
  version: PYTHON_COMMANDS.aider['aider-chat'],
  isPython: true,
  callsNoTools: true,
  program: 'aider',
  takesImages: false,
  // It breaks its lines at the width of a terminal.
  saysTooLong: /longer than the model's\s+context/,
  launch: { client: 'aider', program: 'aider' },
  start: (_, prompt) => ({
    args: ['--message', prompt, '--no-git', '--yes-always', '--no-pretty', '--map-tokens', '0', '--no-show-release-notes'],
  }),
};

/** The same program with nothing of its settings said: address, key and model come from `lai launch`. */
const launched = (command: Command, launch: { client: string; program: string }): Command => ({
  ...command,
  name: `launch-${launch.client}`,
  client: `\`lai launch ${launch.client}\`: ${command.client}`,
  launch,
  takesImages: false,
  start: (target, prompt, image) => ({ args: command.start(target, prompt, image).args }),
});

export const commands: readonly Command[] = [
  ...[opencode, codex, claudeCode, cline, continueCli, qwenCode],
  launched(claudeCode, { client: 'claude', program: 'claude' }),
  launched(codex, { client: 'codex', program: 'codex' }),
  launched(opencode, { client: 'opencode', program: 'opencode' }),
  launched(qwenCode, { client: 'qwen', program: 'qwen' }),
  aider,
];

export const programOf = (folder: string, { program, isPython }: Command): string =>
  join(folder, isPython ? 'bin' : 'node_modules', program);
