import { cpSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import { ownDataDir } from './data-dir-owner.ts';
import { AOF_DIRECTORY, aofFiles, isManifestGone, MANIFEST } from './stored-file.ts';

const CHECK_LIMIT_MS = 10 * 60_000;

export type Repair =
  | { readonly kind: 'nothing_stored' | 'whole' }
  | {
      readonly kind: 'repaired';
      /** The list of files was written anew. */
      readonly hadNoManifest: boolean;
      /** Bytes at the end that were no complete command. */
      readonly cutBytes: number;
      /** The directory as it was. */
      readonly copy: string;
    };

/**
 * Repairs the append-only log of the private Redis in a data directory: names its files again when their list is gone, and cuts off what
 * is no command at its end, with the checker that comes with the server. Throws an Error for people when a coordinator runs there, or
 * when the checker finds more than it can repair; the copy stays in any case.
 */
export const repairPrivateRedis = async ({ dataDir, program }: { dataDir: string; program: string }): Promise<Repair> => {
  const directory = join(dataDir, 'redis');
  const owner = ownDataDir(directory, 'lai doctor --repair');
  try {
    const files = aofFiles(directory);
    if (files.length === 0) return { kind: 'nothing_stored' };
    const hadNoManifest = isManifestGone(directory);
    if (!hadNoManifest && (await check(program, directory, [])).exitCode === 0) return { kind: 'whole' };
    const copy = join(directory, `${AOF_DIRECTORY}.before-repair-${new Date().toISOString().replaceAll(':', '-')}`);
    cpSync(join(directory, AOF_DIRECTORY), copy, { recursive: true });
    if (hadNoManifest) writeFileSync(join(directory, AOF_DIRECTORY, MANIFEST), manifestOf(files), { mode: 0o600 });
    const bytes = () => files.reduce((sum, name) => sum + statSync(join(directory, AOF_DIRECTORY, name)).size, 0);
    const before = bytes();
    const { exitCode, all } = await check(program, directory, ['--fix']);
    if (exitCode !== 0)
      throw new Error(
        `The file of the private Redis is damaged beyond its end and was not repaired: ${all.trim().split('\n').at(-1) ?? ''} The copy is ${copy}. To begin without the jobs that were kept there, move ${join(directory, AOF_DIRECTORY)} away.`,
      );
    return { kind: 'repaired', hadNoManifest, cutBytes: before - bytes(), copy };
  } finally {
    owner.release();
  }
};

/**
 * The checker: redis-check-aof or valkey-check-aof beside the server, else the server's own program, which looks at the name that it is
 * called by. A launcher that is a script cannot be called by another name.
 */
const check = async (program: string, directory: string, options: readonly string[]) => {
  const argv0 = basename(program).replace('server', 'check-aof');
  const beside = join(dirname(program), argv0);
  const result = await execa(existsSync(beside) ? beside : program, [...options, join(directory, AOF_DIRECTORY, MANIFEST)], {
    ...{ argv0, input: 'y\n', all: true, reject: false, timeout: CHECK_LIMIT_MS },
  });
  return { exitCode: result.exitCode, all: String(result.all ?? '') };
};

const manifestOf = (files: readonly string[]): string =>
  files
    .map((name) => {
      const sequence = /\.(\d+)\.(?:base|incr)\./.exec(name)?.[1];
      return `file ${name} seq ${sequence} type ${name.includes('.base.') ? 'b' : 'i'}\n`;
    })
    .join('');
