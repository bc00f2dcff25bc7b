/** Archives whose bytes depend on nothing but what is in them: no clock, no account, no order of a directory, no umask. */
import { execFileSync, spawn } from 'node:child_process';
import { createWriteStream, globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';
import { zipSync } from 'fflate';

/** Everything in `dir`, in an archive named `.tar.gz` or `.zip`. `isQuick`: larger but sooner, for tests. */
export const pack = (dir: string, archive: string, { isQuick = false } = {}): Promise<void> =>
  extname(archive) === '.zip' ? zip(dir, archive, isQuick) : tarGz(dir, archive, isQuick);

const STABLE = ['--format=ustar', '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX'];

const tarGz = async (dir: string, archive: string, isQuick: boolean): Promise<void> => {
  const tar = spawn(gnuTar(), [...STABLE, '-cf', '-', '-C', dir, '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve, reject) => tar.once('error', reject).once('close', resolve));
  const level = isQuick ? constants.Z_BEST_SPEED : constants.Z_BEST_COMPRESSION;
  await pipeline(tar.stdout, createGzip({ level }), createWriteStream(archive));
  const code = await ended;
  if (code !== 0) throw new Error(`tar of ${dir} ended with ${code}`);
};

/** The only one that sorts; on a Mac it is called gtar (brew install gnu-tar). */
const gnuTar = (): string => {
  for (const name of ['tar', 'gtar']) {
    try {
      if (execFileSync(name, ['--version'], { encoding: 'utf8' }).includes('GNU tar')) return name;
    } catch {
      // Not there.
    }
  }
  throw new Error('GNU tar is needed (Debian has it; on a Mac: brew install gnu-tar)');
};

/** The oldest date that a zip can have, in whatever zone we are: it stores local time. */
const EPOCH = new Date(1980, 0, 1);

const zip = async (dir: string, archive: string, isQuick: boolean): Promise<void> => {
  const names = globSync('**', { cwd: dir }).sort();
  const files = names.filter((name) => statSync(join(dir, name)).isFile());
  if (files.length === 0) throw new Error(`there is nothing in ${dir}`);
  const entries = Object.fromEntries(files.map((name) => [name.replaceAll('\\', '/'), readFileSync(join(dir, name))]));
  writeFileSync(archive, zipSync(entries, { mtime: EPOCH, level: isQuick ? 1 : 9 }));
};
