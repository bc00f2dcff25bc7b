import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type CoordinatorConfig, databaseLocation, readConfig } from '../config.ts';
import { backUp } from '../store/backup.ts';
import { restore } from '../store/restore.ts';
import { VERSION } from '../version.ts';
import { withDatabase } from './options.ts';
import { existingHome } from './place.ts';
import { when } from './table.ts';

/** Key material beside the database, without which parts of it cannot be read. */
const KEY_FILES = ['payload.key', 'master.key'];

/** `lai backup`, `lai restore` */
export const addBackupCommands = (program: Command): void => {
  const options = (config: CoordinatorConfig) => ({
    location: databaseLocation(config),
    dataDir: config.dataDir,
    keyFiles: KEY_FILES,
  });

  withDatabase(program.command('backup'))
    .description('everything lasting in one file, while the coordinator runs')
    .argument('<file>')
    .action(async (file: string, flags) => {
      const config = existingHome(flags);
      const { rows, files } = await backUp(file, { ...options(config), version: VERSION, nowMs: Date.now() });
      noteBackup(config.dataDir);
      console.log(
        `${file}: ${rows} rows${files.length > 0 ? ` and ${files.join(', ')}` : ''}. It holds secrets: keep it like a key.`,
      );
    });

  withDatabase(program.command('restore'))
    .description('put a backup in the place of what is there; the coordinator must not run')
    .argument('<file>')
    .option('--replace', 'also when there is a fleet in the database already')
    .action(async (file: string, flags) => {
      const { rows, createdAtMs } = await restore(file, {
        ...options(readConfig(flags, process.env)),
        replace: flags.replace === true,
      });
      console.log(
        `${rows} rows of ${when(createdAtMs)} are back. What was revoked after that is valid again: look at \`lai keys list\` and \`lai nodes list\`.`,
      );
    });
};

/** For `lai doctor`: when there last was a backup. A note that cannot be written is no reason to call the backup failed. */
const noteBackup = (dataDir: string): void => {
  try {
    writeFileSync(join(dataDir, 'last-backup'), '', { mode: 0o600 });
  } catch {
    // The backup is elsewhere, and whole.
  }
};
