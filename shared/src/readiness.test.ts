import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EngineObstacle, Hold, LoadedModel, ModelPull, NodeSnapshot, RuntimeReport } from './node.ts';
import { type Readiness, readinessOf, readinessText } from './readiness.ts';

type Facts = Partial<Pick<NodeSnapshot, 'runtimes' | 'models' | 'holds' | 'pulls' | 'obstacles'>>;

const engine = (facts: Partial<RuntimeReport> = {}): RuntimeReport => ({
  ...{ kind: 'ollama', version: '0.13.0', state: 'ready', mode: 'adopted', isSimulated: false, detail: null },
  ...facts,
});
const mock = engine({ kind: 'mock', version: null, mode: 'owned', isSimulated: true });
const model = (id: string, facts: Partial<LoadedModel> = {}): LoadedModel => ({
  ...{ id, runtime: 'ollama', state: 'cold', capabilities: ['chat'], contextLength: null, sizeBytes: null, vramBytes: null },
  ...{ slots: 1, inFlight: 0, isPinned: false, expiresAtMs: null, failure: null },
  ...facts,
});
const embedder = model('nomic-embed-text', { capabilities: ['embedding'] });
const pretended = model('llama3.2:3b', { runtime: 'mock' });
const hold = (kind: string, cause: string): Hold => ({ kind, cause, sinceMs: 1, untilMs: null });
const pull: ModelPull = { model: 'qwen3:0.6b', runtime: 'ollama', completedBytes: 1.7e8, totalBytes: 5e8 };
const obstacle = (facts: Partial<EngineObstacle>): EngineObstacle => ({
  ...{ runtime: 'llama-server', reason: 'no_model_files', where: '/home/anna/models', detail: null },
  ...facts,
});

const of = (facts: Facts): Readiness => readinessOf({ name: 'desk', runtimes: [], models: [], holds: [], ...facts });

describe('readinessOf', () => {
  it.each<[string, Facts, Readiness['kind'], string]>([
    ['ready', { runtimes: [engine()], models: [model('qwen3:0.6b')] }, 'ready', 'Ollama 0.13.0 is ready with qwen3:0.6b.'],
    ['no model', { runtimes: [engine()] }, 'no_model', 'Ollama 0.13.0 runs and has no model yet. Bring one: lai pull qwen3:0.6b'],
    [
      'only embeddings',
      { runtimes: [engine()], models: [embedder] },
      'only_embeddings',
      'Ollama 0.13.0 has no model that can chat, only nomic-embed-text. Bring one: lai pull qwen3:0.6b',
    ],
    [
      'only embeddings at vLLM',
      { runtimes: [engine({ kind: 'vllm', version: null })], models: [{ ...embedder, runtime: 'vllm' }] },
      'only_embeddings',
      'vLLM has no model that can chat, only nomic-embed-text. Start vLLM with a chat model: vllm serve <model>',
    ],
    ['downloading', { runtimes: [engine()], pulls: [pull] }, 'downloading', 'qwen3:0.6b is being downloaded, 34 % of 0.5 GB.'],
    ['loading', { runtimes: [engine()], models: [model('a', { state: 'loading' })] }, 'loading', 'a is being loaded.'],
    [
      'a model that failed',
      {
        runtimes: [engine()],
        models: [model('a', { state: 'failed', failure: { code: 'load_failed', message: 'out of memory', atMs: 1 } })],
      },
      'model_failed',
      'a could not be loaded: out of memory. See what the engine said: lai-agent logs ollama',
    ],
    [
      'one failed, another is there',
      { runtimes: [engine()], models: [model('a', { state: 'failed' }), model('b')] },
      'ready',
      'Ollama 0.13.0 is ready with a, b.',
    ],
    [
      'starting',
      { runtimes: [engine({ kind: 'vllm', version: null, state: 'starting', mode: 'owned' })] },
      'starting',
      'vLLM is starting.',
    ],
    [
      'never seen',
      { runtimes: [engine({ version: null, state: 'starting' })] },
      'away',
      'Ollama does not answer where it is expected. Start it: ollama serve',
    ],
    [
      'away',
      { runtimes: [engine({ state: 'failed', detail: 'it went away' })] },
      'away',
      'Ollama 0.13.0 has stopped answering (it went away). Start it: ollama serve',
    ],
    [
      'broken',
      { runtimes: [engine({ kind: 'llama-server', version: null, state: 'failed', mode: 'owned', detail: 'it died 5 times' })] },
      'engine_failed',
      'llama-server does not work (it died 5 times). See what it said: lai-agent logs llama-server',
    ],
    [
      'stopped',
      { runtimes: [engine({ state: 'stopped', mode: 'owned', detail: 'gaming' })] },
      'engine_stopped',
      'Ollama 0.13.0 is stopped (gaming).',
    ],
    [
      'held by a game',
      { runtimes: [engine()], models: [model('a')], holds: [hold('gaming', 'detected')] },
      'held',
      'desk takes no work at the moment: gaming (detected). Give it back with: lai-agent gaming off',
    ],
    [
      'drained by the operator',
      { runtimes: [engine()], models: [model('a')], holds: [hold('draining', 'operator')] },
      'held',
      'desk takes no work at the moment: draining (operator). Let it work again with: lai nodes drain desk --off',
    ],
    [
      'held by heat',
      { runtimes: [engine()], models: [model('a')], holds: [hold('heat', '95 °C')] },
      'held',
      'desk takes no work at the moment: heat (95 °C).',
    ],
    [
      'no engine',
      {},
      'no_engine',
      'There is no inference engine on this machine. Install Ollama (https://ollama.com) and type: ollama pull qwen3:0.6b',
    ],
    [
      'no GGUF files',
      { obstacles: [obstacle({})] },
      'no_model_files',
      'llama-server is installed, and /home/anna/models holds no .gguf file. Put a model into /home/anna/models, or name another folder with --models-dir.',
    ],
    [
      'a key is wanted',
      { obstacles: [obstacle({ runtime: 'vllm', reason: 'auth', where: 'http://127.0.0.1:8000' })] },
      'auth',
      'What answers at http://127.0.0.1:8000 wants a key. If it is vLLM, set LAI_VLLM_API_KEY for the agent.',
    ],
    [
      'a password before Ollama',
      { obstacles: [obstacle({ runtime: 'ollama', reason: 'auth', where: 'http://127.0.0.1:11434' })] },
      'auth',
      'What answers at http://127.0.0.1:11434 wants a key. Lai uses Ollama on this machine without a password: take it away for 127.0.0.1.',
    ],
    [
      'too old',
      {
        obstacles: [
          obstacle({ runtime: 'ollama', reason: 'too_old', where: 'http://127.0.0.1:11434', detail: '0.1.20, 0.1.33 is needed' }),
        ],
      },
      'too_old',
      'Ollama at http://127.0.0.1:11434 is too old (0.1.20, 0.1.33 is needed). Update Ollama.',
    ],
    [
      'simulated',
      { runtimes: [mock], models: [pretended] },
      'simulated',
      'Answers are SIMULATED: there is no inference engine on this machine. Install Ollama (https://ollama.com) and type: ollama pull qwen3:0.6b',
    ],
    [
      'simulated beside a llama-server without models',
      { runtimes: [mock], models: [pretended], obstacles: [obstacle({})] },
      'simulated',
      'Answers are SIMULATED: llama-server is installed, and /home/anna/models holds no .gguf file. Put a model into /home/anna/models, or name another folder with --models-dir.',
    ],
    [
      'a real engine without models beside a simulated one',
      { runtimes: [engine(), mock], models: [pretended] },
      'no_model',
      'Ollama 0.13.0 runs and has no model yet. Bring one: lai pull qwen3:0.6b',
    ],
  ])('tells %s', (_, facts, kind, text) => {
    expect(of(facts).kind).toBe(kind);
    expect(readinessText(of(facts))).toBe(text);
  });

  it('has a sentence for every state, with a next step unless it passes by itself', () => {
    const runtime = fc.record({
      kind: fc.constantFrom('ollama', 'llama-server', 'vllm', 'lmstudio', 'mlx', 'mock', 'tomorrow'),
      version: fc.constantFrom(null, '1.0.0'),
      state: fc.constantFrom('starting' as const, 'ready' as const, 'stopped' as const, 'failed' as const),
      mode: fc.constantFrom('adopted' as const, 'owned' as const),
      isSimulated: fc.boolean(),
      detail: fc.constantFrom(null, 'because'),
    });
    const models = fc.array(
      fc.record({
        state: fc.constantFrom('cold' as const, 'loading' as const, 'warm' as const, 'draining' as const, 'failed' as const),
        runtime: fc.constantFrom('ollama', 'mock', 'vllm'),
        capabilities: fc.constantFrom(['chat'], ['embedding']),
      }),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(fc.array(runtime, { maxLength: 3 }), models, fc.boolean(), (runtimes, drawn, isHeld) => {
        const told = of({
          runtimes,
          models: drawn.map(({ capabilities, ...facts }, index) =>
            model(`m${index}`, { ...facts, capabilities: [...capabilities] }),
          ),
          holds: isHeld ? [hold('gaming', 'owner')] : [],
        });
        expect(told.sentence).toMatch(/^\S.*\.$/);
        expect(told.sentence).not.toMatch(/undefined|null|NaN/);
        if (told.kind !== 'no_model' && told.kind !== 'only_embeddings') expect(told.passes || told.next !== null).toBe(true);
      }),
    );
  });
});
