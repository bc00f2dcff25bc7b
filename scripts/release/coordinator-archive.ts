import { copyFileSync, cpSync, existsSync, globSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pack } from './archives.ts';

const ROOT = join(import.meta.dirname, '../..');

/** What a VM without containers needs beside Node and Redis, in a folder of its version: docs/deploy.md. */
const CONTENT = ['coordinator/dist/lai.js', 'coordinator/dist/*.lua', 'coordinator/dist/install.{sh,ps1}', 'LICENSE'];
const EXAMPLES = ['deploy/coordinator/lai', 'deploy/coordinator/lai-coordinator.service', 'deploy/coordinator/Caddyfile'];

/** Of the packages as they are built: `pnpm build` comes first. */
export const packCoordinator = async (version: string, outDir: string): Promise<string> => {
  const isBuilt = ['lai.js', 'dashboard/index.html'].every((path) => existsSync(join(ROOT, 'coordinator/dist', path)));
  if (!isBuilt) throw new Error('the coordinator is not built; pnpm build does that');
  const name = `lai-coordinator-${version}`;
  const staging = mkdtempSync(join(outDir, `.${name}-`));
  try {
    mkdirSync(join(staging, name));
    for (const path of globSync([...CONTENT, ...EXAMPLES], { cwd: ROOT }))
      copyFileSync(join(ROOT, path), join(staging, name, basename(path)));
    cpSync(join(ROOT, 'coordinator/dist/dashboard'), join(staging, name, 'dashboard'), { recursive: true });
    const archive = join(outDir, `${name}.tar.gz`);
    await pack(staging, archive);
    return archive;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
};
