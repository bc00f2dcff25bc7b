import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/**
 * What our programs are made of (CycloneDX), as pnpm reads it out of the lock file; Node, which comes along, is added. Says nothing of
 * this machine: the lock file alone is looked at.
 */
export const writeSbom = (path: string, { version, nodeVersion }: { version: string; nodeVersion: string }): void => {
  const args = ['--silent', 'sbom', '--sbom-format', 'cyclonedx', '--sbom-spec-version', '1.6', '--sbom-type', 'application'];
  const scope = ['--lockfile-only', '--prod', '--filter', '@lai/agent', '--filter', '@lai/coordinator'];
  execFileSync('pnpm', [...args, ...scope, '--out', path], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  const sbom = JSON.parse(readFileSync(path, 'utf8')) as { metadata: { component: { version: string } }; components: unknown[] };
  sbom.metadata.component.version = version;
  sbom.components.push({
    type: 'platform',
    name: 'node',
    version: nodeVersion,
    'bom-ref': `node@${nodeVersion}`,
    purl: `pkg:generic/node@${nodeVersion}?download_url=https://nodejs.org/dist/v${nodeVersion}/`,
    licenses: [{ license: { id: 'MIT' } }],
  });
  writeFileSync(path, `${JSON.stringify(sbom, null, 2)}\n`);
};
