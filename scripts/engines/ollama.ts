/**
 * A real Ollama for tests: one on PATH, else built into the cache where Go and a C++ compiler are present (minutes, once).
 *
 * 0.24.0 is the last release whose engine is compiled into the Go program; later ones need a llama.cpp build beside it.
 * `go install` alone does not build it: Go's module archives leave out every folder named `vendor`, and there the engine
 * keeps three header libraries. They are taken from Debian's packages and, for miniaudio, from another Go module.
 *
 *   node scripts/engines/ollama.ts      prints its path, or why there is none
 */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { argv, exit, pid } from 'node:process';
import { pathToFileURL } from 'node:url';
import { engineCacheDir, type Found, isExecutable, onPath } from './cache.ts';
import { run } from './command.ts';
import { unpackDebianPackages } from './debian.ts';

const version = '0.24.0';
const module = `github.com/ollama/ollama@v${version}`;
/** Its go.mod asks for this; an older Go would try to download a newer one. */
const oldestGo = { major: 1, minor: 26 };
/** Carries miniaudio.h 0.11, of which the engine uses only the audio decoder. */
const miniaudioModule = 'github.com/gen2brain/malgo@v0.11.24';
/** Four and a half minutes were measured on two cores. */
const buildLimitMs = 20 * 60_000;

/** Whether `go version`'s answer is new enough; release candidates count as their release. */
export function isGoNewEnough(goVersion: string): boolean {
  const match = /\bgo(\d+)\.(\d+)/.exec(goVersion);
  if (match === null) return false;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > oldestGo.major || (major === oldestGo.major && minor >= oldestGo.minor);
}

async function withVersion(path: string): Promise<Found> {
  // Without a running server it warns first and then tells its own version.
  const { ok, stdout, stderr, lastLine } = await run(path, ['--version'], { limitMs: 20_000 });
  const stated = /version is (\S+)\s*$/m.exec(`${stdout}\n${stderr}`)?.[1];
  return ok && stated !== undefined ? { path, version: stated } : { missing: `${path} does not run: ${lastLine}` };
}

/** Looks only at what is there: PATH first, then the cache. */
export async function findOllama(cacheDir = engineCacheDir()): Promise<Found> {
  const installed = onPath('ollama');
  if (installed !== undefined) return withVersion(installed);
  const built = join(cacheDir, 'ollama', version, 'ollama');
  if (isExecutable(built)) return withVersion(built);
  return { missing: 'no ollama on PATH or in the cache' };
}

/** Gathers the three header libraries in `include`, laid out as the engine's sources name them. */
async function gatherHeaders(staging: string, include: string): Promise<string | undefined> {
  const unpacked = join(staging, 'debian');
  // Header-only packages fit any compiler; the suite is that of llama-server, so one mirror answer serves both.
  const failure = await unpackDebianPackages({
    suite: 'forky',
    packages: ['nlohmann-json3-dev', 'libstb-dev'],
    target: unpacked,
  });
  if (failure !== undefined) return failure;
  const download = await run('go', ['mod', 'download', '-json', miniaudioModule], { limitMs: 120_000, cwd: staging });
  const moduleDir = /"Dir": "(.*)"/.exec(download.stdout)?.[1];
  if (!download.ok || moduleDir === undefined) return `go could not download ${miniaudioModule}: ${download.lastLine}`;

  renameSync(join(unpacked, 'usr/include/nlohmann'), join(include, 'nlohmann'));
  renameSync(join(unpacked, 'usr/include/stb'), join(include, 'stb'));
  mkdirSync(join(include, 'miniaudio'));
  copyFileSync(join(moduleDir, 'miniaudio.h'), join(include, 'miniaudio', 'miniaudio.h'));
  return existsSync(join(include, 'stb', 'stb_image.h')) ? undefined : 'libstb-dev no longer has stb_image.h';
}

async function buildOllama(staging: string): Promise<string | undefined> {
  const include = join(staging, 'include');
  mkdirSync(include, { recursive: true });
  const failure = await gatherHeaders(staging, include);
  if (failure !== undefined) return failure;
  const built = await run(
    'go',
    ['install', '-trimpath', '-ldflags', `-s -w -X github.com/ollama/ollama/version.Version=${version}`, module],
    {
      env: { GOBIN: staging, CGO_ENABLED: '1', CGO_CPPFLAGS: `"-I${include}"`, GOTOOLCHAIN: 'local', GOFLAGS: '' },
      cwd: staging,
      limitMs: buildLimitMs,
    },
  );
  return built.ok ? undefined : `go install ${module} failed: ${built.lastLine}`;
}

/** Finds an Ollama or builds one into the cache. `onBuild` is told before the minutes-long build starts. */
export async function ensureOllama(cacheDir = engineCacheDir(), onBuild: () => void = () => {}): Promise<Found> {
  const found = await findOllama(cacheDir);
  if ('path' in found) return found;
  const go = await run('go', ['version'], { limitMs: 20_000, env: { GOTOOLCHAIN: 'local' } });
  if (!go.ok) return { missing: 'no ollama on PATH, and no Go to build it with' };
  if (!isGoNewEnough(go.stdout)) return { missing: `no ollama on PATH, and ${go.stdout} is too old to build it (1.26 or newer)` };
  if (onPath('g++') === undefined && onPath('clang++') === undefined) {
    return { missing: 'no ollama on PATH, and no C++ compiler to build it with' };
  }
  onBuild();
  const dir = join(cacheDir, 'ollama', version);
  const staging = `${dir}.${pid}`;
  mkdirSync(staging, { recursive: true });
  try {
    const failure = await buildOllama(staging);
    if (failure !== undefined) return { missing: failure };
    mkdirSync(dir, { recursive: true });
    renameSync(join(staging, 'ollama'), join(dir, 'ollama'));
    return await withVersion(join(dir, 'ollama'));
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/**
 * Makes a GGUF file known to a running Ollama under `model`; `url` is its address without a trailing slash. It runs on one thread: more
 * of them wait for each other on a small machine that does other things too.
 */
export async function importGguf(options: { url: string; model: string; file: string; signal: AbortSignal }): Promise<void> {
  const bytes = readFileSync(options.file);
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const upload = await fetch(`${options.url}/api/blobs/${digest}`, { method: 'POST', body: bytes, signal: options.signal });
  if (!upload.ok) throw new Error(`Ollama refused ${options.file}: ${upload.status} ${await upload.text()}`);
  const create = await fetch(`${options.url}/api/create`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: options.model,
      files: { [basename(options.file)]: digest },
      parameters: { num_thread: 1 },
      stream: false,
    }),
    signal: options.signal,
  });
  const answer = await create.text();
  // Errors may come under status 200 too, so only the word of success counts.
  if (!create.ok || !answer.includes('"success"'))
    throw new Error(`Ollama did not create ${options.model}: ${create.status} ${answer}`);
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const found = await ensureOllama(engineCacheDir(), () => console.error(`ollama: building ${version}, this takes minutes`));
  if ('missing' in found) {
    console.error(`ollama: ${found.missing}`);
    exit(1);
  }
  console.log(found.path);
}
