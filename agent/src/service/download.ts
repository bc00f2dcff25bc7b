import { createHash } from 'node:crypto';
import { chmodSync, createWriteStream, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { MAX_MANIFEST_CHARACTERS, type ReleaseFile, SignedManifest } from '@lai/shared/release';
import type { UpdatePlan } from './release.ts';
import { mustRun, type RunCommand } from './service.ts';
import { nodePath, type Program, versionDir } from './versions.ts';

const ASK_LIMIT_MS = 15_000;
/** For a whole runtime over a slow line. */
const DOWNLOAD_LIMIT_MS = 30 * 60_000;

/** A coordinator serves a few downloads at a time, and says when to come back. */
const MOST_TRIES = 10;
const LONGEST_WAIT_S = 60;

const get = async (url: string, limitMs: number, tries = 1): Promise<Response> => {
  // Whoever redirects is not the coordinator.
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(limitMs) });
  if ((response.status === 429 || response.status === 503) && tries < MOST_TRIES) {
    await response.body?.cancel();
    const waitS = Number.parseInt(response.headers.get('retry-after') ?? '', 10);
    await pause(Math.min(LONGEST_WAIT_S, Number.isNaN(waitS) ? 5 : waitS) * 1_000);
    return get(url, limitMs, tries + 1);
  }
  if (!response.ok) throw new Error(`${url} answered with HTTP ${response.status}.`);
  return response;
};

/** The newest release that the coordinator has, or the one that is asked for. */
export const fetchManifest = async (coordinatorUrl: string, version?: string): Promise<SignedManifest> => {
  const base = `${coordinatorUrl}/dl/${version ?? 'latest'}/manifest.json`;
  const [text, signature] = await Promise.all([base, `${base}.sig`].map(async (url) => (await get(url, ASK_LIMIT_MS)).text()));
  if ((text ?? '').length > MAX_MANIFEST_CHARACTERS) throw new Error(`${base} is too long for a manifest.`);
  return SignedManifest.parse({ text, signature: signature?.trim() });
};

/** After each of which a download whose line broke is begun again. */
const RETRY_WAITS_MS = [1_000, 5_000, 15_000, 30_000];

/** A line that breaks says nothing about the release: only what came whole, and is wrong, ends an update at once. */
const download = async (url: string, file: ReleaseFile, path: string): Promise<void> => {
  for (const waitMs of RETRY_WAITS_MS) {
    try {
      return await downloadOnce(url, file, path);
    } catch (error) {
      // What fetch throws for the network's failures, and for nothing of ours.
      if (!(error instanceof TypeError)) throw error;
      await pause(waitMs);
    }
  }
  return downloadOnce(url, file, path);
};

/** Brings exactly the bytes that the signed manifest names, or nothing. */
const downloadOnce = async (url: string, file: ReleaseFile, path: string): Promise<void> => {
  const { body } = await get(url, DOWNLOAD_LIMIT_MS);
  if (!body) throw new Error(`${url} is empty.`);
  const hash = createHash('sha256');
  let bytes = 0;
  await pipeline(
    Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]),
    async function* (pieces: AsyncIterable<Buffer>) {
      for await (const piece of pieces) {
        bytes += piece.length;
        if (bytes > file.bytes) throw new Error(`${url} is longer than the release says.`);
        hash.update(piece);
        yield piece;
      }
    },
    createWriteStream(path, { flush: true }),
  );
  if (bytes !== file.bytes || hash.digest('hex') !== file.sha256)
    throw new Error(`${url} is not what the release says. Nothing was changed.`);
};

/**
 * Puts a version beside the others: downloads, checks, unpacks, lets it say its name with the Node it wants, and only then gives it its
 * place. What was there is not touched.
 */
export const addVersion = async (
  plan: Extract<UpdatePlan, { kind: 'update' }>,
  { program, coordinatorUrl, run }: { program: Program; coordinatorUrl: string; run: RunCommand },
): Promise<void> => {
  const { version, runtime, archive, holds } = plan;
  const staging = mkdtempSync(join(program.dir, '.staging-'));
  try {
    const path = join(staging, archive.name);
    const unpacked = join(staging, 'unpacked');
    mkdirSync(unpacked);
    await download(`${coordinatorUrl}/dl/${version}/${archive.name}`, archive, path);
    // Every system has one: GNU, BSD (also on Windows, where it reads zip), busybox.
    await mustRun(run, 'tar', ['-xpof', path, '-C', unpacked]);
    const fresh = holds === 'agent' ? unpacked : join(unpacked, 'versions', version);
    if (holds === 'everything') moveIn(join(unpacked, 'runtime', runtime), join(program.dir, 'runtime', runtime));
    const said = await mustRun(run, nodePath(program, runtime), [join(fresh, 'lai-agent.js'), '--version']);
    if (said.trim() !== version)
      throw new Error(`The new version calls itself "${said.trim().slice(0, 40)}" instead of ${version}.`);
    // Ours is made with a closed umask, and everybody on the machine may ask for the version.
    chmodSync(fresh, 0o755);
    moveIn(fresh, versionDir(program, version));
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
};

const moveIn = (from: string, to: string): void => {
  rmSync(to, { recursive: true, force: true });
  if (!existsSync(dirname(to))) mkdirSync(dirname(to), { recursive: true });
  renameSync(from, to);
};
