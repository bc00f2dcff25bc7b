/**
 * What a program that we start gets to see of our environment: what it needs to find itself, its libraries, its GPU, its models and the
 * way out. Everything else may be a secret (`AWS_…`, `DATABASE_URL`, our own keys).
 */
const NAMES: ReadonlySet<string> = new Set([
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR', 'TMP', 'TEMP', 'TERM', 'HOSTNAME'],
  ...[
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'ALL_PROXY',
    'NO_PROXY',
    'SSL_CERT_FILE',
    'SSL_CERT_DIR',
    'REQUESTS_CA_BUNDLE',
    'CURL_CA_BUNDLE',
  ],
  ...[
    'LD_LIBRARY_PATH',
    'DYLD_LIBRARY_PATH',
    'DYLD_FALLBACK_LIBRARY_PATH',
    'VIRTUAL_ENV',
    'CONDA_PREFIX',
    'HUGGING_FACE_HUB_TOKEN',
  ],
  ...['DBUS_SESSION_BUS_ADDRESS', 'JOURNAL_STREAM', 'INVOCATION_ID'],
  // Windows
  ...['SYSTEMROOT', 'SYSTEMDRIVE', 'WINDIR', 'COMSPEC', 'PATHEXT', 'OS', 'COMPUTERNAME', 'USERNAME', 'USERDOMAIN', 'USERPROFILE'],
  ...['HOMEDRIVE', 'HOMEPATH', 'APPDATA', 'LOCALAPPDATA', 'PROGRAMDATA', 'ALLUSERSPROFILE', 'PUBLIC', 'PROGRAMFILES'],
  ...[
    'PROGRAMFILES(X86)',
    'PROGRAMW6432',
    'COMMONPROGRAMFILES',
    'COMMONPROGRAMFILES(X86)',
    'COMMONPROGRAMW6432',
    'NUMBER_OF_PROCESSORS',
  ],
]);

/** Families of engines, of what they are built on, and of graphics drivers. */
const FAMILIES =
  /^(?:LC|XDG|CUDA|CUBLAS|CUDNN|NVIDIA|NCCL|HIP|HSA|ROCM|ROCR|ROCBLAS|AMD|GPU|GGML|LLAMA|OLLAMA|VLLM|LMSTUDIO|MLX|METAL|MTL|HF|TRANSFORMERS|TOKENIZERS|TORCH|TORCHINDUCTOR|PYTORCH|TRITON|RAY|FLASHINFER|SAFETENSORS|OMP|KMP|MKL|OPENBLAS|NUMEXPR|PYTHON|VK|VULKAN|MESA|ZE|ONEAPI|SYCL|INTEL|PROCESSOR)[A-Z0-9]*_|^(?:PYTHON[A-Z]+|VLLM|OLLAMA)$/;

/** `also` names what this program gets beyond that. Windows spells names in any case. */
export const childEnvironment = (
  environment: Readonly<Record<string, string | undefined>>,
  also: (name: string) => boolean = () => false,
): Record<string, string> =>
  Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) => {
      const upper = name.toUpperCase();
      return value !== undefined && (NAMES.has(upper) || FAMILIES.test(upper) || also(upper)) ? [[name, value]] : [];
    }),
  );

/** Settings of the agent, which `lai up` hands on to the one that it starts; those of the coordinator hold its secrets. */
export const isAgentSetting = (name: string): boolean =>
  /^LAI_(?:OLLAMA|VLLM|LLAMA_SERVER|LMSTUDIO|MLX|MOCK)_[A-Z_]+$/.test(name) || AGENT_SETTINGS.has(name);

const AGENT_SETTINGS: ReadonlySet<string> = new Set([
  ...['LAI_RUNTIME', 'LAI_MODELS_DIR', 'LAI_MODEL_CAPABILITIES', 'LAI_MAX_CONCURRENT', 'LAI_IDLE_UNLOAD_MINUTES'],
  ...['LAI_ALLOWED_PULLS', 'LAI_LOCAL_PORT', 'LAI_MEASURE', 'LAI_INSECURE', 'LAI_NODE_NAME', 'LAI_LOG_LEVEL'],
  // Node's own: flags, and authorities beside its built-in ones.
  ...['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'NODE_USE_SYSTEM_CA', 'NODE_USE_ENV_PROXY', 'NO_COLOR', 'FORCE_COLOR'],
]);
