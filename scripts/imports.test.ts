import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

/** Biome's opinion, by our own rules, of a tree that holds these files and nothing else. */
const lint = (files: Record<string, string>): { status: number | null; output: string } => {
  const tree = mkdtempSync(join(tmpdir(), 'lai-imports-'));
  try {
    copyFileSync(join(ROOT, 'biome.json'), join(tree, 'biome.json'));
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), content);
    }
    const biome = join(ROOT, 'node_modules', '.bin', 'biome');
    const { status, stdout, stderr } = spawnSync(biome, ['lint', '--vcs-enabled=false', '.'], { cwd: tree, encoding: 'utf8' });
    return { status, output: stdout + stderr };
  } finally {
    rmSync(tree, { recursive: true });
  }
};

const importing = (target: string) => `import * as other from '${target}';\nexport const x = other;\n`;

describe('which way imports point', () => {
  it.each([
    ['coordinator/src/scheduler/x.ts', '../redis/client.ts'],
    ['coordinator/src/nodes/x.ts', '../dispatch/matching.ts'],
    ['coordinator/src/streams/x.ts', '../nodes/registry.ts'],
    ['coordinator/src/api/openai/x.ts', '../../redis/client.ts'],
    ['coordinator/src/store/x.ts', '../access/secret.ts'],
    ['agent/src/runtimes/x.ts', '../supervisor/engine-process.ts'],
    ['agent/src/attempts/x.ts', '../connection/connection.ts'],
    ['shared/src/x.ts', 'node:fs'],
  ])('%s may not import %s', (path, target) => {
    const { status, output } = lint({ [path]: importing(target) });
    expect(status).not.toBe(0);
    expect(output).toContain('noRestrictedImports');
  });

  it('what the house allows passes', () => {
    const { status, output } = lint({
      'coordinator/src/dispatch/x.ts': importing('../scheduler/place.ts'),
      'coordinator/src/api/openai/x.ts': importing('../../dispatch/dispatcher.ts'),
      'agent/src/attempts/x.ts': importing('../runtimes/runtime.ts'),
      'coordinator/src/streams/x.ts': importing('@lai/shared/attempt'),
    });
    expect(output).not.toContain('noRestrictedImports');
    expect(status).toBe(0);
  });

  it('a cycle is found', () => {
    const { status, output } = lint({
      'coordinator/src/scheduler/a.ts': "import { b } from './b.ts';\nexport const a = () => b;\n",
      'coordinator/src/scheduler/b.ts': "import { a } from './a.ts';\nexport const b = () => a;\n",
    });
    expect(status).not.toBe(0);
    expect(output).toContain('noImportCycles');
  });
});
