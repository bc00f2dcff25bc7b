import { existsSync, statSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { settingsProblem } from '@lai/shared/command-failure';
import { CoordinatorUrl, EngineUrl, FilePath, SecretText, Switch } from '@lai/shared/settings';
import { z } from 'zod';
import { OwnerCapabilities } from './models/owner-capabilities.ts';
import { DEFAULT_PULLS } from './models/pull-policy.ts';
import { MOCK_PROFILES } from './supervisor/mock-profiles.ts';

const RuntimeChoice = z.enum(['auto', 'ollama', 'llama-server', 'vllm', 'lmstudio', 'mlx', 'mock']);

/** Spelled from where the program was started, which no engine of ours has to know. */
const Folder = FilePath.transform((path) => resolve(path)).refine(isFolder, 'use a directory; this is a file');

/** A name on PATH, or a path. */
const Program = FilePath.transform((name) => (/[/\\]/.test(name) ? resolve(name) : name)).refine(
  isProgram,
  'use a program that exists',
);

const count = z.coerce.number().int().positive();

/** False only for what is there and something else. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return true;
  }
}

function isProgram(name: string): boolean {
  return !isAbsolute(name) || existsSync(name);
}

/** Parsed once at start from flags and LAI_* variables; nothing else reads the environment. */
export const AgentConfig = z.object({
  dataDir: Folder,
  /** Where the coordinator is now, if not where this node enrolled. */
  url: CoordinatorUrl.optional(),
  name: z.string().regex(/^[A-Za-z0-9 ._-]{1,64}$/, 'use 1 to 64 letters, digits, spaces, dots, underscores or dashes'),
  runtime: RuntimeChoice,
  ollamaUrl: EngineUrl,
  /** Requests Ollama runs side by side per model; Ollama itself does not tell. */
  ollamaSlots: z.coerce.number().int().positive(),
  /** Adopt an Ollama that runs, start one of our own, or whichever is possible. */
  ollamaMode: z.enum(['auto', 'adopt', 'own']),
  /** The program to start; found on PATH when not said. */
  ollamaProgram: Program.optional(),
  /** Its `OLLAMA_CONTEXT_LENGTH`; its own default depends on the GPUs. */
  ollamaContext: count.optional(),
  modelsDir: Folder,
  llamaServerSlots: z.coerce.number().int().positive(),
  /** Tokens per request; the model's own limit when not said. */
  llamaServerContext: count.optional(),
  /** Models in memory at once; one more takes the place of the one that was used least recently. */
  llamaServerModelsMax: count,
  /** A vLLM to adopt. */
  vllmUrl: EngineUrl,
  vllmApiKey: SecretText.optional(),
  /** A vLLM of our own serves this model. */
  vllmModel: z
    .string()
    .regex(/^(?!-)[^\p{C}]+$/u, 'use a name on Hugging Face such as Qwen/Qwen3-8B, or the path of a folder')
    .optional(),
  vllmSlots: count,
  /** 0: no sleep mode; the GPU is given back by ending the process. 1 keeps the weights in RAM, 2 drops them. */
  vllmSleepLevel: z.coerce.number().pipe(z.literal([0, 1, 2])),
  lmstudioUrl: EngineUrl,
  lmstudioApiKey: SecretText.optional(),
  mlxUrl: EngineUrl,
  /** A model that nobody asked for this long is unloaded; 0: never. */
  idleUnloadMinutes: z.coerce.number().nonnegative(),
  /** What may be pulled over the wire, separated by commas; see models/pull-policy.ts. */
  allowedPulls: z.preprocess(
    (value) => (typeof value === 'string' ? value.split(',') : value),
    z.array(
      z
        .string()
        .trim()
        .regex(/^[A-Za-z0-9._:@+/*-]+$/, 'use names of models such as llama3*, hf.co/*, separated by commas'),
    ),
  ),
  /** What models can do where their engine does not tell: `qwen3*=tools,vision; tiny=-tools`. */
  modelCapabilities: OwnerCapabilities,
  /** A mock engine that already runs; without it the mock runtime starts its own. */
  mockUrl: EngineUrl.optional(),
  mockProfile: z.enum(Object.keys(MOCK_PROFILES)),
  /** Whether a simulated engine stands in where no real one is. */
  standIn: Switch,
  maxConcurrent: z.coerce.number().int().positive().max(1_000),
  /** Where the machine's owner reaches the agent on loopback; 0 takes any free port. */
  localPort: z.coerce.number().int().nonnegative().max(65_535),
  /** Watch the event loop's delay; costs a hundred wake-ups a second, so only for measuring. */
  measure: Switch,
  /** The launcher's folder, when it started us: versions side by side, of which we are one. */
  programDir: Folder.optional(),
  /** Public Ed25519 key (base64) that updates must be signed with, instead of the one that was built in. */
  releaseKey: z
    .string()
    .regex(/^[A-Za-z0-9+/]{43}=$/, 'expected 32 bytes as base64')
    .optional(),
  /** A coordinator on another machine may be spoken to without TLS. */
  insecure: Switch,
  logLevel: z.enum(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace']),
});
export type AgentConfig = Readonly<z.infer<typeof AgentConfig>>;

type Flags = Partial<Record<keyof AgentConfig, unknown>>;

/** Where programs of this kind keep their data on this system. */
export const defaultDataDir = (env: NodeJS.ProcessEnv, platform = process.platform): string => {
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'Lai', 'agent');
  if (platform === 'win32') return join(env['ProgramData'] ?? join(homedir(), 'AppData', 'Local'), 'Lai', 'agent');
  return join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'lai', 'agent');
};

const defaultName = (): string =>
  hostname()
    .replaceAll(/[^A-Za-z0-9 ._-]/g, '-')
    .slice(0, 64) || 'node';

/** Where a setting comes from when no flag says it. */
export const VARIABLES: Readonly<Record<Exclude<keyof AgentConfig, 'dataDir'>, string>> = {
  url: 'LAI_URL',
  name: 'LAI_NODE_NAME',
  runtime: 'LAI_RUNTIME',
  ollamaUrl: 'LAI_OLLAMA_URL',
  ollamaSlots: 'LAI_OLLAMA_SLOTS',
  ollamaMode: 'LAI_OLLAMA_MODE',
  ollamaProgram: 'LAI_OLLAMA_PROGRAM',
  ollamaContext: 'LAI_OLLAMA_CONTEXT',
  modelsDir: 'LAI_MODELS_DIR',
  llamaServerSlots: 'LAI_LLAMA_SERVER_SLOTS',
  llamaServerContext: 'LAI_LLAMA_SERVER_CONTEXT',
  llamaServerModelsMax: 'LAI_LLAMA_SERVER_MODELS_MAX',
  vllmUrl: 'LAI_VLLM_URL',
  vllmApiKey: 'LAI_VLLM_API_KEY',
  vllmModel: 'LAI_VLLM_MODEL',
  vllmSlots: 'LAI_VLLM_SLOTS',
  vllmSleepLevel: 'LAI_VLLM_SLEEP_LEVEL',
  lmstudioUrl: 'LAI_LMSTUDIO_URL',
  lmstudioApiKey: 'LAI_LMSTUDIO_API_KEY',
  mlxUrl: 'LAI_MLX_URL',
  idleUnloadMinutes: 'LAI_IDLE_UNLOAD_MINUTES',
  allowedPulls: 'LAI_ALLOWED_PULLS',
  modelCapabilities: 'LAI_MODEL_CAPABILITIES',
  mockUrl: 'LAI_MOCK_URL',
  mockProfile: 'LAI_MOCK_PROFILE',
  standIn: 'LAI_STAND_IN',
  maxConcurrent: 'LAI_MAX_CONCURRENT',
  localPort: 'LAI_LOCAL_PORT',
  measure: 'LAI_MEASURE',
  programDir: 'LAI_PROGRAM_DIR',
  releaseKey: 'LAI_RELEASE_KEY',
  insecure: 'LAI_INSECURE',
  logLevel: 'LAI_LOG_LEVEL',
};

/** Flags win over variables, variables over defaults. Throws one error that names every wrong setting. */
export const readConfig = (flags: Flags, env: NodeJS.ProcessEnv): AgentConfig => {
  const dataDir = (flags.dataDir as string | undefined) || env['LAI_AGENT_DATA_DIR'] || defaultDataDir(env);
  const fromEnv = {
    // Ollama's own words for the same; its 0 means "as you see fit", which is one.
    ollamaSlots: env['OLLAMA_NUM_PARALLEL'] === '0' ? undefined : env['OLLAMA_NUM_PARALLEL'],
    ollamaContext: env['OLLAMA_CONTEXT_LENGTH'],
    ...defined(Object.fromEntries(Object.entries(VARIABLES).map(([setting, name]) => [setting, env[name]]))),
  };
  const defaults = {
    dataDir,
    name: defaultName(),
    runtime: 'auto',
    ollamaUrl: 'http://127.0.0.1:11434',
    ollamaSlots: 1,
    ollamaMode: 'auto',
    modelsDir: join(dataDir, 'models'),
    llamaServerSlots: 2,
    llamaServerModelsMax: 4,
    vllmUrl: 'http://127.0.0.1:8000',
    vllmSlots: 8,
    vllmSleepLevel: 0,
    lmstudioUrl: 'http://127.0.0.1:1234',
    mlxUrl: 'http://127.0.0.1:8080',
    idleUnloadMinutes: 10,
    allowedPulls: [...DEFAULT_PULLS],
    modelCapabilities: [],
    mockProfile: 'linux-3070',
    standIn: true,
    maxConcurrent: 16,
    localPort: 5241,
    measure: false,
    insecure: false,
    logLevel: 'info',
  };
  const values = { ...defaults, ...defined(fromEnv), ...defined(flags) };
  const parsed = AgentConfig.safeParse(values);
  if (!parsed.success) throw settingsProblem('the agent', parsed.error, { values, nameOf: (setting) => nameOf(setting, flags) });
  return Object.freeze(parsed.data);
};

/** The flag where one was given, else the variable. */
const nameOf = (setting: string, flags: Flags): string =>
  (flags as Record<string, unknown>)[setting] === undefined
    ? ((VARIABLES as Record<string, string>)[setting] ?? 'LAI_AGENT_DATA_DIR')
    : `--${setting.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

const defined = (values: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== ''));
