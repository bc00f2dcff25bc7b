import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the agent's columns (sensors/nvidia-csv.ts) stand in the line that the mock engine prints. */
const COLUMNS = [1, 2, 4, 6, 7, 8, 10, 12, 13, 3];

/** Environment of an agent that finds an `nvidia-smi` on its PATH which shows the memory of a mock engine's simulated GPU. */
export const withFakeCard = (folder: string, engineUrl: string): Record<string, string> => {
  mkdirSync(folder, { recursive: true });
  const fields = COLUMNS.map((column) => `$${column}`).join('", "');
  // Ends with the engine, because an agent that is killed does not end it.
  const look = `line=$(curl -sf ${engineUrl}/_mock/nvidia-smi) && echo "$line" | awk -F', ' '{ print ${fields} }'`;
  const lines = [
    '#!/bin/sh',
    'case "$*" in',
    `  *--query-gpu*--loop-ms*) while ${look}; do sleep 0.5; done ;;`,
    `  *--query-gpu*) ${look} ;;`,
    '  *) echo "not simulated"; exit 6 ;;',
    'esac',
  ];
  writeFileSync(join(folder, 'nvidia-smi'), `${lines.join('\n')}\n`, { mode: 0o755 });
  return { PATH: `${folder}:${process.env['PATH'] ?? ''}`, LAI_OLLAMA_MODE: 'adopt' };
};
