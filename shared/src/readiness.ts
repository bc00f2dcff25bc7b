import type { EngineObstacle, Hold, LoadedModel, NodeSnapshot, RuntimeReport } from './node.ts';

/** What keeps a node from answering chats, as a sentence with a next step. `lai up`, `lai status` and `lai-agent doctor` say the same. */
export interface Readiness {
  readonly kind:
    | 'ready'
    | 'simulated'
    | 'held'
    | 'loading'
    | 'downloading'
    | 'model_failed'
    | 'only_embeddings'
    | 'no_model'
    | 'starting'
    | 'away'
    | 'engine_failed'
    | 'engine_stopped'
    | 'auth'
    | 'too_old'
    | 'no_model_files'
    | 'no_engine';
  /** What there is, and what is missing. */
  readonly sentence: string;
  /** What a person can do; null when nothing needs to be done. */
  readonly next: string | null;
  /** It passes without anybody's doing. */
  readonly passes: boolean;
}

/** Small, and good enough to see that everything works. */
export const FIRST_MODEL = 'qwen3:0.6b';

/** From what a node says about itself. Pure. */
export const readinessOf = (snapshot: Readable): Readiness => {
  const { runtimes, models, holds, pulls = [], obstacles = [] } = snapshot;
  const real = runtimes.filter((runtime) => !runtime.isSimulated);
  const isReal = (model: LoadedModel) => real.some(({ kind }) => kind === model.runtime);
  const chat = models.filter(({ capabilities }) => capabilities.includes('chat'));
  const realChat = chat.filter(isReal);
  const simulatedChat = chat.filter((model) => !isReal(model));

  if (chat.length > 0 && holds.length > 0) return heldBy(snapshot.name, holds);
  if (realChat.length > 0) return withChat(realChat, real);
  const [pull] = pulls;
  if (pull) {
    const { model, completedBytes, totalBytes } = pull;
    const share = totalBytes
      ? `, ${Math.floor(((completedBytes ?? 0) / totalBytes) * 100)} % of ${(totalBytes / 1e9).toFixed(1)} GB`
      : '';
    return passing('downloading', `${model} is being downloaded${share}.`);
  }
  const engine = best(real);
  if (engine) return withoutChat(engine, models.filter(isReal));
  const [obstacle] = obstacles;
  if (simulatedChat.length > 0) {
    const why = obstacle ? ofObstacle(obstacle) : noEngine;
    return { ...why, kind: 'simulated', sentence: `Answers are SIMULATED: ${lower(why.sentence)}` };
  }
  return obstacle ? ofObstacle(obstacle) : noEngine;
};

type Readable = Pick<NodeSnapshot, 'name' | 'runtimes' | 'models' | 'holds' | 'pulls' | 'obstacles'>;

const told = (kind: Readiness['kind'], sentence: string, next: string | null): Readiness => ({
  kind,
  sentence,
  next,
  passes: false,
});
const passing = (kind: Readiness['kind'], sentence: string): Readiness => ({ kind, sentence, next: null, passes: true });

const noEngine = told(
  'no_engine',
  'There is no inference engine on this machine.',
  `Install Ollama (https://ollama.com) and type: ollama pull ${FIRST_MODEL}`,
);

const heldBy = (name: string, holds: readonly Hold[]): Readiness => {
  const words = holds.map(({ kind, cause }) => `${kind} (${cause})`).join(', ');
  const [hold] = holds;
  const next =
    hold?.kind === 'gaming'
      ? 'Give it back with: lai-agent gaming off'
      : hold?.kind === 'draining'
        ? hold.cause === 'owner'
          ? 'Let it work again with: lai-agent drain --off'
          : `Let it work again with: lai nodes drain ${name} --off`
        : null;
  return { kind: 'held', sentence: `${name} takes no work at the moment: ${words}.`, next, passes: next === null };
};

const withChat = (chat: readonly LoadedModel[], real: readonly RuntimeReport[]): Readiness => {
  const names = chat.map(({ id }) => id).join(', ');
  const working = chat.filter(({ state }) => state !== 'failed');
  const [failed] = chat;
  if (working.length === 0 && failed)
    return told(
      'model_failed',
      `${failed.id} could not be loaded: ${failed.failure?.message ?? 'its engine gave no reason'}.`,
      `See what the engine said: lai-agent logs ${failed.runtime}`,
    );
  if (working.every(({ state }) => state === 'loading')) return passing('loading', `${names} is being loaded.`);
  const engines = [...new Set(chat.map(({ runtime }) => nameOf(real.find(({ kind }) => kind === runtime))))].join(' and ');
  return { kind: 'ready', sentence: `${engines} is ready with ${names}.`, next: null, passes: true };
};

/** Of several engines the one that is nearest to work. */
const best = (engines: readonly RuntimeReport[]): RuntimeReport | undefined =>
  (['ready', 'starting', 'failed', 'stopped'] as const)
    .map((state) => engines.find((engine) => engine.state === state))
    .find((engine) => engine !== undefined);

const withoutChat = (engine: RuntimeReport, models: readonly LoadedModel[]): Readiness => {
  const name = nameOf(engine);
  const detail = engine.detail === null ? '' : ` (${engine.detail})`;
  switch (engine.state) {
    case 'ready': {
      const bring = engine.kind === 'ollama' ? `Bring one: lai pull ${FIRST_MODEL}` : HOW_TO_BRING[engine.kind];
      const others = models.map(({ id }) => id).join(', ');
      return models.length === 0
        ? told('no_model', `${name} runs and has no model yet.`, bring ?? null)
        : told('only_embeddings', `${name} has no model that can chat, only ${others}.`, bring ?? null);
    }
    case 'starting':
      return engine.mode === 'owned'
        ? passing('starting', `${name} is starting${detail}.`)
        : told('away', `${name} does not answer where it is expected.`, HOW_TO_START[engine.kind] ?? 'Start it.');
    case 'failed':
      return engine.mode === 'owned'
        ? told('engine_failed', `${name} does not work${detail}.`, `See what it said: lai-agent logs ${engine.kind}`)
        : told('away', `${name} has stopped answering${detail}.`, HOW_TO_START[engine.kind] ?? 'Start it again.');
    default:
      return passing('engine_stopped', `${name} is stopped${detail}.`);
  }
};

const NAMES: Readonly<Record<string, string>> = {
  ollama: 'Ollama',
  'llama-server': 'llama-server',
  vllm: 'vLLM',
  lmstudio: 'LM Studio',
  mlx: 'mlx_lm.server',
};
const nameOf = (engine: Pick<RuntimeReport, 'kind' | 'version'> | undefined): string =>
  engine ? [NAMES[engine.kind] ?? engine.kind, engine.version].filter(Boolean).join(' ') : 'the engine';

const HOW_TO_BRING: Readonly<Record<string, string>> = {
  'llama-server': 'Put a .gguf file of a chat model into its folder of models.',
  lmstudio: 'Download a chat model in LM Studio.',
  vllm: 'Start vLLM with a chat model: vllm serve <model>',
  mlx: 'Start it with a chat model: mlx_lm.server --model <model>',
};
const HOW_TO_START: Readonly<Record<string, string>> = {
  ollama: 'Start it: ollama serve',
  vllm: 'Start it: vllm serve <model>',
  lmstudio: 'Start its server in LM Studio, under Developer.',
  mlx: 'Start it: mlx_lm.server --model <model>',
};

/** The variable that holds the engine's key. */
const KEY_OF: Readonly<Record<string, string>> = { vllm: 'LAI_VLLM_API_KEY', lmstudio: 'LAI_LMSTUDIO_API_KEY' };

const ofObstacle = ({ runtime, reason, where, detail }: EngineObstacle): Readiness => {
  const name = NAMES[runtime] ?? runtime;
  switch (reason) {
    case 'no_model_files':
      return told(
        'no_model_files',
        `${name} is installed, and ${where} holds no .gguf file.`,
        `Put a model into ${where}, or name another folder with --models-dir.`,
      );
    case 'auth':
      return told(
        'auth',
        `What answers at ${where} wants a key.`,
        KEY_OF[runtime]
          ? `If it is ${name}, set ${KEY_OF[runtime]} for the agent.`
          : `Lai uses ${name} on this machine without a password: take it away for 127.0.0.1.`,
      );
    case 'too_old':
      return told('too_old', `${name} at ${where} is too old${detail === null ? '' : ` (${detail})`}.`, `Update ${name}.`);
    default:
      return told('no_engine', `${name} at ${where} cannot be used${detail === null ? '' : ` (${detail})`}.`, null);
  }
};

/** Names keep their capitals. */
const lower = (sentence: string): string => sentence.replace(/^(There|What) /, (word) => word.toLowerCase());

/** The sentence and what to do, in one line. */
export const readinessText = ({ sentence, next }: Readiness): string => (next === null ? sentence : `${sentence} ${next}`);
