/**
 * A real llama-server for tests, without root and without a compiler: one on PATH, else Debian's prebuilt packages
 * unpacked into the cache with the libc they were built against.
 *
 *   node scripts/engines/llama-server.ts      prints its path, or why there is none
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { arch, argv, exit, pid, platform } from 'node:process';
import { pathToFileURL } from 'node:url';
import { engineCacheDir, type Found, isExecutable, onPath } from './cache.ts';
import { run } from './command.ts';
import { unpackDebianPackages } from './debian.ts';

/** Debian 14, the first with llama.cpp. Its packages still move, so tests print the version they got. */
const suite = 'forky';
const packages = [
  'llama.cpp-tools',
  'libllama0',
  'libggml0',
  // The libraries of that suite: the programs would not start with an older libc or libstdc++.
  'libc6',
  'libgcc-s1',
  'libgomp1',
  'libssl3t64',
  'libstdc++6',
  'libzstd1',
  'zlib1g',
  'patchelf',
];

/** What each x86-64 CPU back end of ggml uses (ggml/src/CMakeLists.txt), best first; flags as /proc/cpuinfo names them. */
const avx512 = ['avx512f', 'avx512vl', 'avx512bw', 'avx512dq', 'avx512cd', 'avx2', 'fma', 'f16c', 'bmi2'];
const backEnds: [name: string, flags: string[]][] = [
  ['zen4', [...avx512, 'avx512vbmi', 'avx512_vnni', 'avx512_bf16']],
  ['icelake', [...avx512, 'avx512vbmi', 'avx512_vnni']],
  ['skylakex', avx512],
  ['haswell', ['avx2', 'fma', 'f16c', 'bmi2']],
  ['sandybridge', ['avx', 'sse4_2']],
  ['sse42', ['sse4_2']],
  ['x64', []],
];

/** The fastest back end among those at hand that this CPU can run. */
export function bestBackEnd(available: readonly string[], cpuFlags: ReadonlySet<string>): string | undefined {
  return backEnds.find(([name, flags]) => available.includes(name) && flags.every((flag) => cpuFlags.has(flag)))?.[0];
}

function cpuFlags(): Set<string> {
  const line = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  return new Set(line.trim().split(/\s+/));
}

async function withVersion(path: string): Promise<Found> {
  const { ok, stdout, stderr, lastLine } = await run(path, ['--version'], { limitMs: 20_000 });
  const version = /^version: (.*)$/m.exec(`${stdout}\n${stderr}`)?.[1];
  return ok && version !== undefined ? { path, version } : { missing: `${path} does not run: ${lastLine}` };
}

/** Looks only at what is there: PATH first, then the cache. */
export async function findLlamaServer(cacheDir = engineCacheDir()): Promise<Found> {
  const installed = onPath('llama-server');
  if (installed !== undefined) return withVersion(installed);
  const unpacked = join(cacheDir, 'llama-server', 'llama-server');
  if (isExecutable(unpacked)) return withVersion(unpacked);
  return { missing: 'no llama-server on PATH or in the cache' };
}

/**
 * Makes `dir/llama-server` start the unpacked program with the unpacked libraries. The program itself names the unpacked
 * loader (patchelf): in router mode llama-server starts itself again by its own path, which a wrapper would not survive.
 */
async function makeRunnable(staging: string, dir: string): Promise<string | undefined> {
  const libraries = 'root/usr/lib/x86_64-linux-gnu';
  const loader = `${libraries}/ld-linux-x86-64.so.2`;
  const name = /^libggml-cpu-(.+)\.so$/;
  const folder = `${libraries}/ggml/backends0`;
  if (!existsSync(join(staging, folder))) return `the packages have no ${folder}: their layout has changed`;
  const available = readdirSync(join(staging, folder)).flatMap((file) => name.exec(file)?.[1] ?? []);
  const backEnd = bestBackEnd(available, cpuFlags());
  if (backEnd === undefined) return `none of the CPU back ends (${available.join(', ')}) suits this CPU`;

  copyFileSync(join(staging, 'root/usr/bin/llama-server'), join(staging, 'llama-server.bin'));
  const patched = await run(
    join(staging, loader),
    [
      '--library-path',
      join(staging, libraries),
      join(staging, 'root/usr/bin/patchelf'),
      '--set-interpreter',
      join(dir, loader),
      join(staging, 'llama-server.bin'),
    ],
    { limitMs: 30_000 },
  );
  if (!patched.ok) return `patchelf failed: ${patched.lastLine}`;
  const search = ['', '/llama', '/ggml/backends0'].map((sub) => `$here/${libraries}${sub}`).join(':');
  writeFileSync(
    join(staging, 'llama-server'),
    [
      '#!/bin/sh',
      'here=$(dirname "$0")',
      `export LD_LIBRARY_PATH="${search}"`,
      `export GGML_BACKEND_PATH="$here/${folder}/libggml-cpu-${backEnd}.so"`,
      'exec "$here/llama-server.bin" "$@"',
      '',
    ].join('\n'),
  );
  chmodSync(join(staging, 'llama-server'), 0o755);
  return undefined;
}

/** Finds a llama-server or unpacks one into the cache (about 60 MB, seconds). */
export async function ensureLlamaServer(cacheDir = engineCacheDir()): Promise<Found> {
  const found = await findLlamaServer(cacheDir);
  if ('path' in found) return found;
  if (platform !== 'linux' || arch !== 'x64') {
    return { missing: `no llama-server on PATH, and it can be unpacked on Linux x64 only (this is ${platform} ${arch})` };
  }
  const dir = join(cacheDir, 'llama-server');
  const staging = `${dir}.${pid}`;
  mkdirSync(staging, { recursive: true });
  try {
    const failure =
      (await unpackDebianPackages({ suite, packages, target: join(staging, 'root') })) ?? (await makeRunnable(staging, dir));
    if (failure !== undefined) return { missing: failure };
    rmSync(dir, { recursive: true, force: true });
    renameSync(staging, dir);
    return await withVersion(join(dir, 'llama-server'));
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const found = await ensureLlamaServer();
  if ('missing' in found) {
    console.error(`llama-server: ${found.missing}`);
    exit(1);
  }
  console.log(found.path);
}
