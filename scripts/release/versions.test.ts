import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { nodePins } from '../toolchain/pins.mjs';
import { NODE_VERSION } from './node-programs.ts';

const versionIn = (path: string): string => JSON.parse(readFileSync(join(import.meta.dirname, '../..', path), 'utf8')).version;

it('all packages have one version, which is that of a release', () => {
  const version = versionIn('package.json');
  for (const path of ['shared', 'agent', 'coordinator'])
    expect([path, versionIn(`${path}/package.json`)]).toEqual([path, version]);
});

it('the Node that comes with the agent is the one that it is tested with', () => {
  expect(NODE_VERSION).toBe(nodePins['linux-x64']?.version);
});
