import { existsSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/**
 * Versions side by side in the program folder (drawn in layout.ts), one of them current. Deliberately without other rooms and packages:
 * the launcher is made of this. `current` is a link; on Windows, where links need rights, a small file.
 */
export interface Program {
  readonly dir: string;
  readonly usesLink: boolean;
}

export const programAt = (dir: string, platform: NodeJS.Platform = process.platform): Program => ({
  dir,
  usesLink: platform !== 'win32',
});

const VERSION = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?$/;

export const versionDir = ({ dir }: Program, version: string): string => join(dir, 'versions', version);

/** Null: nothing is installed here. */
export const currentVersion = (program: Program): string | null => {
  try {
    const version = program.usesLink
      ? basename(readlinkSync(join(program.dir, 'current')))
      : (JSON.parse(readFileSync(join(program.dir, 'current.json'), 'utf8')) as { version?: unknown }).version;
    return typeof version === 'string' && VERSION.test(version) ? version : null;
  } catch {
    return null;
  }
};

/** One rename: a crash leaves the old version current or the new one, never none. */
export const switchTo = (program: Program, version: string): void => {
  if (!VERSION.test(version) || !existsSync(join(versionDir(program, version), 'lai-agent.js')))
    throw new Error(`There is no version ${version} in ${program.dir}.`);
  const name = program.usesLink ? 'current' : 'current.json';
  const draft = join(program.dir, `.${name}.${process.pid}`);
  rmSync(draft, { force: true });
  if (program.usesLink) symlinkSync(join('versions', version), draft);
  else writeFileSync(draft, `${JSON.stringify({ version })}\n`, { flush: true });
  renameSync(draft, join(program.dir, name));
};

export const installedVersions = (program: Program): string[] => {
  try {
    return readdirSync(join(program.dir, 'versions')).filter((name) => VERSION.test(name));
  } catch {
    return [];
  }
};

/** Which Node the version wants; null when it does not say. */
export const runtimeOf = (program: Program, version: string): string | null => {
  try {
    const text = readFileSync(join(versionDir(program, version), 'runtime'), 'utf8').trim();
    return VERSION.test(text) ? text : null;
  } catch {
    return null;
  }
};

export const nodePath = ({ dir, usesLink }: Program, runtime: string): string =>
  usesLink ? join(dir, 'runtime', runtime, 'bin', 'node') : join(dir, 'runtime', runtime, 'node.exe');

/** Deletes every version but these, and every runtime that none of them wants. What cannot be deleted stays. */
export const keepOnly = (program: Program, versions: readonly string[]): void => {
  const remove = (path: string) => {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // In use (Windows) or somebody else's: next time.
    }
  };
  for (const version of installedVersions(program)) if (!versions.includes(version)) remove(versionDir(program, version));
  const wanted = versions.map((version) => runtimeOf(program, version));
  if (wanted.includes(null)) return;
  const runtimes = join(program.dir, 'runtime');
  for (const runtime of existsSync(runtimes) ? readdirSync(runtimes) : [])
    if (VERSION.test(runtime) && !wanted.includes(runtime)) remove(join(runtimes, runtime));
};
