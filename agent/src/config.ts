import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

const RuntimeChoice = z.enum(['auto', 'ollama', 'llama-server', 'mock']);

/** Parsed once at start from flags and LAI_* variables; nothing else reads the environment. */
export const AgentConfig = z.object({
  dataDir: z.string().min(1),
  /** Where the coordinator is now, if not where this node enrolled. */
  url: z.url().optional(),
  name: z.string().regex(/^[A-Za-z0-9 ._-]{1,64}$/, 'use 1 to 64 letters, digits, spaces, dots, underscores or dashes'),
  runtime: RuntimeChoice,
  ollamaUrl: z.url(),
  /** Requests Ollama runs side by side per model; Ollama itself does not tell. */
  ollamaSlots: z.coerce.number().int().positive(),
  /** Adopt an Ollama that runs, start one of our own, or whichever is possible. */
  ollamaMode: z.enum(['auto', 'adopt', 'own']),
  /** The program to start; found on PATH when not said. */
  ollamaProgram: z.string().optional(),
  modelsDir: z.string(),
  llamaServerSlots: z.coerce.number().int().positive(),
  /** A mock engine that already runs; without it the mock runtime starts its own. */
  mockUrl: z.url().optional(),
  mockProfile: z.string(),
  maxConcurrent: z.coerce.number().int().positive().max(1_000),
  /** Where the machine's owner reaches the agent on loopback; 0 takes any free port. */
  localPort: z.coerce.number().int().nonnegative().max(65_535),
  /** Watch the event loop's delay; costs a hundred wake-ups a second, so only for measuring. */
  measure: z.stringbool().or(z.boolean()),
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

/** Flags win over variables, variables over defaults. Throws one error that names every wrong setting. */
export const readConfig = (flags: Flags, env: NodeJS.ProcessEnv): AgentConfig => {
  const dataDir = (flags.dataDir as string | undefined) || env['LAI_AGENT_DATA_DIR'] || defaultDataDir(env);
  const fromEnv = {
    url: env['LAI_URL'],
    name: env['LAI_NODE_NAME'],
    runtime: env['LAI_RUNTIME'],
    ollamaUrl: env['LAI_OLLAMA_URL'],
    ollamaSlots: env['LAI_OLLAMA_SLOTS'] || env['OLLAMA_NUM_PARALLEL'],
    ollamaMode: env['LAI_OLLAMA_MODE'],
    ollamaProgram: env['LAI_OLLAMA_PROGRAM'],
    modelsDir: env['LAI_MODELS_DIR'],
    llamaServerSlots: env['LAI_LLAMA_SERVER_SLOTS'],
    mockUrl: env['LAI_MOCK_URL'],
    mockProfile: env['LAI_MOCK_PROFILE'],
    maxConcurrent: env['LAI_MAX_CONCURRENT'],
    localPort: env['LAI_LOCAL_PORT'],
    measure: env['LAI_MEASURE'],
    logLevel: env['LAI_LOG_LEVEL'],
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
    mockProfile: 'linux-3070',
    maxConcurrent: 16,
    localPort: 5241,
    measure: false,
    logLevel: 'info',
  };
  const parsed = AgentConfig.safeParse({ ...defaults, ...defined(fromEnv), ...defined(flags) });
  if (!parsed.success) throw new Error(`The agent's settings are not usable:\n${z.prettifyError(parsed.error)}`);
  return Object.freeze(parsed.data);
};

const defined = (values: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== ''));
