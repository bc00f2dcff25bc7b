import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSignedBy } from '@lai/shared/ed25519';
import { compareVersions, ReleaseManifest, ReleaseVersion, SignedManifest } from '@lai/shared/release';
import type { Logger } from 'pino';

/** A release that is dropped into the folder is there this much later. */
const REREAD_MS = 2_000;
const MAX_SMALL_FILE_BYTES = 64 * 1024;

export interface StoredFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Release {
  readonly version: string;
  readonly manifest: ReleaseManifest;
  readonly signed: SignedManifest;
  /** By name: those that may be served. */
  readonly files: ReadonlyMap<string, StoredFile>;
}

export interface Shelf {
  /** Newest first. */
  readonly releases: readonly Release[];
  /** Public half of the key that they are signed with, base64; null when it is not known. */
  readonly publicKey: string | null;
  /** What lies there and is not offered, and why, in sentences. */
  readonly problems: readonly string[];
}

/**
 * The releases of the agent in a folder, one folder per version beside `release.pub`, as `npm run release` lays them out. Nothing is
 * offered that is not signed and whole; agents check all of it again. Read again when somebody asks, so a new release needs no restart.
 */
export class Releases {
  readonly dir: string;
  readonly #configuredKey: string | null;
  readonly #log: Logger;
  #shelf: Promise<Shelf> | null = null;
  #readAtMs = Number.NEGATIVE_INFINITY;
  /** By version; good as long as the release looks the same from outside. */
  readonly #known = new Map<string, { readonly mark: string; readonly release: Release }>();
  #said = '';

  constructor(options: { dir: string; publicKey: string | null; log: Logger }) {
    this.dir = options.dir;
    this.#configuredKey = options.publicKey;
    this.#log = options.log;
  }

  shelf(): Promise<Shelf> {
    const nowMs = performance.now();
    if (!this.#shelf || nowMs - this.#readAtMs > REREAD_MS) {
      this.#readAtMs = nowMs;
      this.#shelf = this.#read();
    }
    return this.#shelf;
  }

  /** The folder has changed, and somebody wants it now. */
  refresh(): void {
    this.#shelf = null;
  }

  /** `latest` is the newest that is no candidate for something newer (`0.3.0-rc.1`), unless there is nothing else. */
  async find(version: string): Promise<Release | null> {
    const { releases } = await this.shelf();
    if (version !== 'latest') return releases.find((release) => release.version === version) ?? null;
    return releases.find((release) => !release.version.includes('-')) ?? releases[0] ?? null;
  }

  async #read(): Promise<Shelf> {
    const publicKey = this.#configuredKey ?? (await readKey(join(this.dir, 'release.pub')));
    const versions = await versionsIn(this.dir);
    const problems: string[] = [];
    const releases: Release[] = [];
    for (const version of versions) {
      try {
        releases.push(await this.#release(version, publicKey));
      } catch (error) {
        problems.push(`${version}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    for (const version of this.#known.keys()) if (!versions.includes(version)) this.#known.delete(version);
    this.#say(releases, problems);
    return { releases, publicKey, problems };
  }

  async #release(version: string, publicKey: string | null): Promise<Release> {
    const mark = `${publicKey} ${await markOf(join(this.dir, version))}`;
    const known = this.#known.get(version);
    if (known?.mark === mark) return known.release;
    const release = await readRelease(this.dir, version, publicKey);
    this.#known.set(version, { mark, release });
    return release;
  }

  /** Once, and again when it is something else. */
  #say(releases: readonly Release[], problems: readonly string[]): void {
    const text = JSON.stringify([releases.map(({ version }) => version), problems]);
    if (text === this.#said) return;
    this.#said = text;
    const versions = releases.map(({ version }) => version);
    if (problems.length > 0) this.#log.warn({ dir: this.dir, problems }, 'releases of the agent that are not offered');
    this.#log.info({ dir: this.dir, versions }, versions.length > 0 ? 'releases of the agent' : NO_RELEASES);
  }
}

export const NO_RELEASES = 'no release of the agent is here: machines cannot install from this coordinator, nor be updated';

const readRelease = async (root: string, version: string, publicKey: string | null): Promise<Release> => {
  const dir = join(root, version);
  const [text, signature] = await Promise.all(['manifest.json', 'manifest.json.sig'].map((name) => readSmall(join(dir, name))));
  if (text === undefined || signature === undefined) throw new Error('it has no manifest.json, or that is not signed');
  if (publicKey === null)
    throw new Error('it is not known whose signature counts: there is no release.pub, and no LAI_RELEASE_KEY');
  const signed = SignedManifest.parse({ text, signature: signature.trim() });
  if (!(await isSignedBy(publicKey, signed.signature, new TextEncoder().encode(text))))
    throw new Error('its manifest is not signed with the key of this folder');
  const manifest = ReleaseManifest.parse(JSON.parse(text));
  if (manifest.version !== version) throw new Error(`its manifest is that of ${manifest.version}`);
  const files = new Map<string, StoredFile>();
  for (const { name, bytes, sha256 } of [manifest.agent, ...Object.values(manifest.platforms).map(({ archive }) => archive)]) {
    const path = join(dir, name);
    const size = (await stat(path).catch(() => null))?.size;
    if (size !== bytes)
      throw new Error(size === undefined ? `${name} is missing` : `${name} has ${size} bytes instead of ${bytes}`);
    files.set(name, { path, bytes, sha256 });
  }
  for (const name of ['manifest.json', 'manifest.json.sig', 'SHA256SUMS', 'SHA256SUMS.sig']) {
    const content = await readSmall(join(dir, name));
    if (content === undefined) throw new Error(`${name} is missing`);
    const sha256 = createHash('sha256').update(content).digest('hex');
    files.set(name, { path: join(dir, name), bytes: Buffer.byteLength(content), sha256 });
  }
  return { version, manifest, signed, files };
};

const versionsIn = async (dir: string): Promise<string[]> => {
  const names = await readdir(dir).catch(() => []);
  return names.filter((name) => ReleaseVersion.safeParse(name).success).sort((a, b) => compareVersions(b, a));
};

const readKey = async (path: string): Promise<string | null> => (await readSmall(path))?.trim() ?? null;

const readSmall = async (path: string): Promise<string | undefined> => {
  try {
    return (await stat(path)).size > MAX_SMALL_FILE_BYTES ? undefined : await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
};

/** Changes when a file comes, goes, or is another one. */
const markOf = async (dir: string): Promise<string> => {
  const names = (await readdir(dir)).sort();
  const stats = await Promise.all(names.map((name) => stat(join(dir, name))));
  return stats.map(({ size, mtimeMs }, index) => `${names[index]}:${size}:${mtimeMs}`).join(' ');
};
