/**
 * The three machines everybody pictures, as mock engines: what `npm start -- --demo` runs, and what stands in on a machine without an
 * engine. Sizes and speeds are plausible for such hardware; they were not measured on it.
 */
export interface MockProfile {
  readonly gpu: string;
  readonly vramGb: number;
  readonly tuning: { readonly coldLoadMsPerGb: number; readonly prefillMs: number };
  /** In the mock engine's own notation. */
  readonly models: readonly string[];
}

export const MOCK_PROFILES: Readonly<Record<string, MockProfile>> = {
  'mac-m1': {
    gpu: 'Apple M1 (simulated)',
    vramGb: 10.7,
    tuning: { coldLoadMsPerGb: 450, prefillMs: 180 },
    models: [
      'llama3.2:3b=2.0GB,slots=2,tps=38,ctx=8192,caps=chat+tools',
      'nomic-embed-text=0.3GB,slots=4,ctx=2048,caps=embedding',
    ],
  },
  'windows-rtx': {
    gpu: 'NVIDIA GeForce RTX 4080 (simulated)',
    vramGb: 16,
    tuning: { coldLoadMsPerGb: 300, prefillMs: 60 },
    models: [
      'llama3.1:8b=4.9GB,slots=4,tps=105,ctx=32768,caps=chat+tools',
      'qwen2.5vl:7b=6.0GB,slots=2,tps=70,ctx=32768,caps=chat+vision',
      'llama3.2:3b=2.0GB,slots=4,tps=150,ctx=8192,caps=chat+tools',
    ],
  },
  'linux-3070': {
    gpu: 'NVIDIA GeForce RTX 3070 (simulated)',
    vramGb: 8,
    tuning: { coldLoadMsPerGb: 350, prefillMs: 90 },
    models: [
      'llama3.1:8b=4.9GB,slots=2,tps=58,ctx=8192,caps=chat+tools',
      'llama3.2:3b=2.0GB,slots=4,tps=95,ctx=8192,caps=chat+tools',
      'nomic-embed-text=0.3GB,slots=4,ctx=2048,caps=embedding',
    ],
  },
};
