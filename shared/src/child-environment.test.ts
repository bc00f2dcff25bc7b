import { describe, expect, it } from 'vitest';
import { childEnvironment, isAgentSetting } from './child-environment.ts';

const namesOf = (names: readonly string[], also?: (name: string) => boolean) =>
  Object.keys(childEnvironment(Object.fromEntries(names.map((name) => [name, 'x'])), also));

const NEEDED = [
  ...[
    'PATH',
    'HOME',
    'LANG',
    'LC_ALL',
    'TMPDIR',
    'https_proxy',
    'NO_PROXY',
    'SSL_CERT_FILE',
    'XDG_CACHE_HOME',
    'LD_LIBRARY_PATH',
  ],
  ...[
    'CUDA_VISIBLE_DEVICES',
    'NVIDIA_VISIBLE_DEVICES',
    'HIP_VISIBLE_DEVICES',
    'HSA_OVERRIDE_GFX_VERSION',
    'ROCR_VISIBLE_DEVICES',
  ],
  ...[
    'OLLAMA_MODELS',
    'OLLAMA_HOST',
    'VLLM_SERVER_DEV_MODE',
    'HF_HOME',
    'HF_TOKEN',
    'GGML_CUDA_ENABLE_UNIFIED_MEMORY',
    'PYTHONPATH',
  ],
  ...['SystemRoot', 'ProgramFiles(x86)', 'USERPROFILE', 'Path', 'PROCESSOR_ARCHITECTURE', 'VK_ICD_FILENAMES'],
];
const SECRET = [
  ...['LAI_PAYLOAD_KEY', 'LAI_WEBHOOK_SECRET', 'LAI_API_KEY', 'LAI_TOKEN', 'LAI_DATABASE_URL', 'DATABASE_URL', 'LAI_REDIS_URL'],
  ...['AWS_SECRET_ACCESS_KEY', 'GITHUB_TOKEN', 'OPENAI_API_KEY', 'ANTHROPIC_API_KEY', 'PGPASSWORD', 'SSH_AUTH_SOCK', 'NPM_TOKEN'],
  ...['GOOGLE_APPLICATION_CREDENTIALS', 'LD_PRELOAD', 'LAI_TLS_KEY', 'LAI_VLLM_API_KEY', 'SECRET', 'KUBECONFIG'],
];

describe('the environment of an engine', () => {
  it('holds what it needs', () => {
    expect(namesOf(NEEDED)).toEqual(NEEDED);
  });

  it('holds nothing else, whatever that is', () => {
    expect(namesOf(SECRET)).toEqual([]);
  });
});

describe('the environment of the agent that `lai up` starts', () => {
  it('holds its settings and none of the coordinator’s secrets', () => {
    const settings = ['LAI_OLLAMA_URL', 'LAI_VLLM_API_KEY', 'LAI_MOCK_PROFILE', 'LAI_RUNTIME', 'NODE_EXTRA_CA_CERTS'];
    expect(namesOf([...settings, ...NEEDED], isAgentSetting)).toEqual([...settings, ...NEEDED]);
    expect(namesOf(SECRET, isAgentSetting)).toEqual(['LAI_VLLM_API_KEY']);
  });
});
