/** How an owned vLLM is started. One process serves one base model. */
export interface VllmLaunch {
  /** A Hugging Face name or a folder. */
  readonly model: string;
  /** What the fleet calls it; the model's own name otherwise. */
  readonly servedName?: string;
  readonly port: number;
  readonly apiKey: string;
  /** The program; `vllm` on PATH unless said otherwise. */
  readonly program?: string;
  readonly maxModelLength?: number;
  /** Share of the GPU that it takes at start and keeps, whatever the model's size. */
  readonly gpuMemoryUtilization?: number;
  /** Requests side by side. */
  readonly maxSequences?: number;
  /** Starts in a third of the time, answers slower. */
  readonly isEager?: boolean;
  /** Reads the model's tool calls out of its text; tools are off without. */
  readonly toolParser?: string;
  /** Lets the GPU be given back without ending the process. */
  readonly hasSleepMode?: boolean;
}

/**
 * vLLM listens on all interfaces unless told otherwise, so it always is. The key goes by the environment, where other users' `ps` does not
 * show it. Sleep mode needs the development routes, and those can run anything in the process and ask for no key: they exist only
 * together with sleep mode, on loopback, and nothing that comes over the wire ever names a path (see `openAiUrl`).
 */
export const vllmCommand = (launch: VllmLaunch): { file: string; args: string[]; env: Record<string, string> } => {
  const option = (name: string, value: string | number | undefined) => (value === undefined ? [] : [name, String(value)]);
  return {
    file: launch.program ?? 'vllm',
    args: [
      'serve',
      launch.model,
      ...['--host', '127.0.0.1', '--port', String(launch.port)],
      ...option('--served-model-name', launch.servedName),
      ...option('--max-model-len', launch.maxModelLength),
      ...option('--gpu-memory-utilization', launch.gpuMemoryUtilization),
      ...option('--max-num-seqs', launch.maxSequences),
      ...(launch.toolParser ? ['--enable-auto-tool-choice', '--tool-call-parser', launch.toolParser] : []),
      ...(launch.isEager ? ['--enforce-eager'] : []),
      ...(launch.hasSleepMode ? ['--enable-sleep-mode'] : []),
    ],
    env: {
      VLLM_API_KEY: launch.apiKey,
      VLLM_NO_USAGE_STATS: '1',
      // Stated either way: one that is set in the agent's own environment must not open the routes by accident.
      VLLM_SERVER_DEV_MODE: launch.hasSleepMode ? '1' : '0',
    },
  };
};
