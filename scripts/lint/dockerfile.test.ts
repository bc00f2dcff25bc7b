import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nodePins, pnpmPin } from '../toolchain/pins.mjs';
import { dockerfileFindings, instructionsOf } from './dockerfile.ts';

const ROOT = join(import.meta.dirname, '../..');
const text = readFileSync(join(ROOT, 'deploy/coordinator/Dockerfile'), 'utf8');

describe("the coordinator's Dockerfile", () => {
  it('has no findings', () => {
    expect(dockerfileFindings(text)).toEqual([]);
  });

  it.each([
    ['USER 5240:5240', 'USER root', 'no numeric user'],
    ['USER 5240:5240', 'USER 0', 'no numeric user'],
    ['WORKDIR /var/lib/lai', 'WORKDIR var/lib/lai', 'WORKDIR'],
    ['ENTRYPOINT ["node",', 'ENTRYPOINT node [', 'no JSON list'],
    ['HEALTHCHECK --interval=15s', 'HEALTHCHECK --interval=15', 'line'],
    ['EXPOSE 5240', 'EXPOSE 524000000', 'no port'],
    ['VOLUME /var/lib/lai', 'RUN apt-get update', 'runs something'],
    [`${'$'}{BASE_REGISTRY}/debian:`, 'docker.io/library/debian:', 'BASE_REGISTRY'],
    ['/opt/lai/healthcheck.mjs"]', '/opt/lai/healthcheck.mjs"', 'JSON form'],
    ['ARG BASE_REGISTRY', '#syntax=docker/dockerfile:1\nARG BASE_REGISTRY', 'mirror'],
  ])('%s as %s would be found', (right, wrong, finding) => {
    expect(text).toContain(right);
    expect(dockerfileFindings(text.replace(right, wrong)).join('\n')).toContain(finding);
  });

  it('uses the Node and the pnpm of the repository', () => {
    const argument = (name: string) => new RegExp(`^ARG ${name}=(.+)$`, 'm').exec(text)?.[1];
    expect(argument('NODE_VERSION')).toBe(nodePins['linux-x64']?.version);
    expect(argument('PNPM_VERSION')).toBe(pnpmPin.version);
  });

  it('starts Node with little memory for young objects and a bounded heap', () => {
    const start = instructionsOf(text).find(({ word }) => word === 'ENTRYPOINT')?.rest ?? '';
    expect(JSON.parse(start)).toEqual(['node', '--max-semi-space-size=4', '--max-old-space-size=512', '/opt/lai/lai.js']);
  });

  it('is given exactly the files that it copies', () => {
    const ignore = readFileSync(join(ROOT, 'deploy/coordinator/Dockerfile.dockerignore'), 'utf8').split('\n');
    const allowed = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    const copied = instructionsOf(text)
      .filter(({ word, rest }) => word === 'COPY' && !rest.includes('--from='))
      .flatMap(({ rest }) => rest.split(' ').slice(0, -1));
    expect(ignore).toContain('*');
    for (const path of copied)
      expect(
        allowed.some((entry) => path.replace(/\/$/, '').startsWith(entry)),
        path,
      ).toBe(true);
  });
});
