/**
 * The tags of an image, a line each, the most exact one first, into a file; for GitHub Actions, which says in its environment what was
 * pushed.
 */
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import manifest from '../../package.json' with { type: 'json' };
import { ReleaseVersion } from '../../shared/src/release.ts';

/** Pure. `ref` as git has it. A tag is of the version that the source says, or it is a mistake. */
export const imageTags = ({ ref, sha, version }: { ref: string; sha: string; version: string }): string[] => {
  const commit = `sha-${sha.slice(0, 12)}`;
  const tag = /^refs\/tags\/v(.+)$/.exec(ref)?.[1];
  if (tag === undefined) return [commit, ...(ref === 'refs/heads/main' ? ['main'] : [])];
  if (tag !== version) throw new Error(`the tag says ${tag}, package.json says ${version}`);
  if (ReleaseVersion.parse(tag).includes('-')) return [tag, commit];
  const [major = '', minor = ''] = tag.split('.');
  // 0.x promises nothing from one minor version to the next.
  return [tag, `${major}.${minor}`, ...(major === '0' ? [] : [major]), commit];
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { GITHUB_REF: ref = '', GITHUB_SHA: sha = '' } = process.env;
  const [file = 'image-tags'] = process.argv.slice(2);
  writeFileSync(file, `${imageTags({ ref, sha, version: manifest.version }).join('\n')}\n`);
}
