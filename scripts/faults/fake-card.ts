import { mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Environment of an agent that finds an `nvidia-smi` on its PATH which shows the memory of a mock engine's simulated GPU. */
export const withFakeCard = (folder: string, engineUrl: string): Record<string, string> => {
  mkdirSync(folder, { recursive: true });
  const line = `exec '${process.execPath}' '${join(import.meta.dirname, 'fake-nvidia-smi.ts')}' '${engineUrl}' "$@"`;
  writeFileSync(join(folder, 'nvidia-smi'), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  return { PATH: `${folder}${delimiter}${process.env['PATH'] ?? ''}`, LAI_OLLAMA_MODE: 'adopt' };
};
