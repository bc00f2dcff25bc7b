import type { CoordinatorConfig } from '../config.ts';
import { startCoordinator } from '../coordinator.ts';
import { createLogger } from '../logger.ts';
import { ensureOperatorKey } from './operator-key.ts';
import { stopSignal } from './stop-signal.ts';

/** `lai serve`: a coordinator until it is told to stop. A signal during the start lets the start finish, and undoes it then. */
export const serve = async (config: CoordinatorConfig): Promise<void> => {
  const stopped = stopSignal();
  const coordinator = await startCoordinator(config, createLogger(config.logLevel));
  try {
    await ensureOperatorKey(coordinator.db, config.dataDir);
    // To the terminal of whoever started us, not into the log.
    if (coordinator.setupUrl) process.stderr.write(`First operator: ${coordinator.setupUrl}\n`);
    await stopped;
  } finally {
    await coordinator.close();
  }
};
