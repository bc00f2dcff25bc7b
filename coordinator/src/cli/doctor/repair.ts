import type { CoordinatorConfig } from '../../config.ts';
import { findRedisServer } from '../../redis/embedded.ts';
import { type Repair, repairPrivateRedis } from '../../redis/repair.ts';

/** `lai doctor --repair`: what was done to the file of the private Redis, for people. */
export const repairStored = async (config: CoordinatorConfig): Promise<string> => {
  const program = config.redisServer ?? findRedisServer(process.env['PATH'] ?? '');
  if (!program) throw new Error('No redis-server or valkey-server on PATH, so its checker is not there either. Install one.');
  return repairText(await repairPrivateRedis({ dataDir: config.dataDir, program }));
};

const UNCHANGED = {
  nothing_stored: 'The private Redis has stored nothing here.',
  whole: 'The file of the private Redis is whole. Nothing was changed.',
} as const;

const repairText = (repair: Repair): string => {
  if (repair.kind !== 'repaired') return UNCHANGED[repair.kind];
  const { hadNoManifest, cutBytes, copy } = repair;
  const done = [
    ...(hadNoManifest ? ['its list of files was written anew'] : []),
    ...(cutBytes > 0 ? [`${cutBytes} bytes at its end, which were no complete command, were cut off`] : []),
  ];
  return `The file of the private Redis is repaired${done.length > 0 ? `: ${done.join(', ')}` : ''}. The copy of before is ${copy}; remove it when all is well.`;
};
