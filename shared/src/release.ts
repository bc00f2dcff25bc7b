import { z } from 'zod';

/**
 * What a release of the agent consists of. The manifest is signed as the bytes it is, by a key that lies offline; agents know its public
 * half and take nothing else, whoever serves the files.
 */

/** Numbers, and perhaps a word for what comes before that version: `0.2.0`, `0.2.0-rc.1`. */
export const ReleaseVersion = z.string().regex(/^\d{1,5}\.\d{1,5}\.\d{1,5}(?:-[0-9A-Za-z.]{1,32})?$/, 'not a version');

export const RELEASE_PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'darwin-x64', 'win32-x64'] as const;
export type ReleasePlatform = (typeof RELEASE_PLATFORMS)[number];

/**
 * Names of files in a release, at `/dl/<version>/<name>` and, of the newest, `/dl/latest/<name>`; the coordinator serves no others.
 * `.sig`: Ed25519 over the file without it, base64.
 */
export const RELEASE_FILE_NAME =
  /^(?:agent\.tar\.gz|(?:linux|darwin|win32)-(?:x64|arm64)\.(?:tar\.gz|zip)|(?:manifest\.json|SHA256SUMS)(?:\.sig)?)$/;

const ReleaseFile = z.object({
  name: z.string().regex(RELEASE_FILE_NAME),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.number().int().positive(),
});
export type ReleaseFile = z.infer<typeof ReleaseFile>;

export const ReleaseManifest = z.object({
  version: ReleaseVersion,
  /** The oldest agent that may go to this version in one step. */
  minimumVersion: ReleaseVersion,
  /** The agent without Node: all that an update needs while its runtime is here already. */
  agent: ReleaseFile,
  /** By `os-arch`: everything, Node included. */
  platforms: z.record(z.string(), z.object({ runtime: ReleaseVersion, archive: ReleaseFile })),
});
export type ReleaseManifest = z.infer<typeof ReleaseManifest>;

export const MAX_MANIFEST_CHARACTERS = 16 * 1024;

/** As it travels: the signature is over exactly this text. */
export const SignedManifest = z.object({
  text: z.string().min(2).max(MAX_MANIFEST_CHARACTERS),
  /** Ed25519, base64. */
  signature: z.string().regex(/^[A-Za-z0-9+/]{86}==$/, 'not a signature'),
});
export type SignedManifest = z.infer<typeof SignedManifest>;

/** Negative when `a` is older. A version with a word after its numbers comes before the one without. */
export const compareVersions = (a: string, b: string): number => {
  const [left, right] = [partsOf(a), partsOf(b)];
  for (let at = 0; at < 3; at += 1) {
    const difference = (left.numbers[at] ?? 0) - (right.numbers[at] ?? 0);
    if (difference !== 0) return difference;
  }
  if (left.word === right.word) return 0;
  if (left.word === '') return 1;
  if (right.word === '') return -1;
  return left.word.localeCompare(right.word, 'en', { numeric: true });
};

const partsOf = (version: string): { numbers: number[]; word: string } => {
  const [numbers = '', ...words] = version.split('-');
  return { numbers: numbers.split('.').map(Number), word: words.join('-') };
};

/** How an update stands, told in the node's snapshot. Absent from agents that cannot update themselves (not installed as a service). */
export const UpdateReport = z.object({
  /** False: the owner's policy on the machine forbids it. */
  isAllowed: z.boolean(),
  /** Open word; ours: `none`, `downloading`, `draining`, `trial` (runs, not yet proved), `failed`, `rolled_back`. */
  state: z.string().max(32),
  /** The version that it is about. */
  version: z.string().max(64).nullable(),
  detail: z.string().max(500).nullable(),
});
export type UpdateReport = z.infer<typeof UpdateReport>;
