/** What a mock engine says of its GPU, as nvidia-smi would say it: `fake-nvidia-smi.ts ENGINE_URL --query-gpu=… [--loop-ms=…]`. */
import { setTimeout as pause } from 'node:timers/promises';

/** Where the agent's columns (sensors/nvidia-csv.ts) stand in the engine's line. */
const COLUMNS = [0, 1, 3, 5, 6, 7, 9, 11, 12, 2];
const EVERY_MS = 500;

const [, , engineUrl, ...args] = process.argv;
if (!args.some((arg) => arg.startsWith('--query-gpu='))) {
  console.log('not simulated');
  process.exit(6);
}
const isLoop = args.some((arg) => arg.startsWith('--loop-ms='));
do {
  // Ends with the engine, because an agent that is killed does not end it.
  const response = await fetch(`${engineUrl}/_mock/nvidia-smi`).catch(() => process.exit(1));
  const columns = (await response.text()).trim().split(', ');
  console.log(COLUMNS.map((column) => columns[column]).join(', '));
  if (isLoop) await pause(EVERY_MS);
} while (isLoop);
