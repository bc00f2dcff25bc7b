/**
 * Bundles the package in the current directory: each entry becomes one file that Node 24 runs without node_modules.
 * Called as the `build` script of a package (`node ../scripts/build.ts`), so Turborepo can cache it.
 */
import { copyFileSync, existsSync, globSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { basename, resolve } from 'node:path';
import { argv, cwd, exit } from 'node:process';
import { pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';

/** Package folder → its bundles. */
const bundles: Record<string, { entry: string; outfile: string }[]> = {
  coordinator: [{ entry: 'src/main.ts', outfile: 'dist/lai.js' }],
  agent: [
    { entry: 'src/main.ts', outfile: 'dist/lai-agent.js' },
    { entry: 'src/runtimes/mock-engine/main.ts', outfile: 'dist/lai-mock-engine.js' },
    { entry: 'src/service/launch.ts', outfile: 'dist/lai-launch.js' },
  ],
};

/**
 * Optional drivers that our dependencies look for with `require` inside a try block (bullmq: other databases and Redis
 * libraries; ws: native speed-ups). Lai installs none of them, so the bundles must not insist on them.
 */
const optional = ['pg-native', 'pg-cloudflare', 'redis', '@redis/*', '@valkey/*', 'bullmq-otel', 'bufferutil', 'utf-8-validate'];

/**
 * The output is ESM, most dependencies are CommonJS: bullmq and pino call `require`, `__dirname` and `__filename` for real.
 * The names are declared here once because ESM has none of them.
 */
const banner = [
  "import { createRequire as bundleRequire } from 'node:module';",
  'const require = bundleRequire(import.meta.url);',
  'const __filename = import.meta.filename;',
  'const __dirname = import.meta.dirname;',
].join('\n');

/**
 * `import { z } from 'zod'` is one object with everything in it, all languages included, and none of it can be left out of a bundle.
 * `import * as z` means the same and can be shaken: 14 MB less memory per process.
 */
const shakeZod: Plugin = {
  name: 'shake-zod',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(/^import \{ z \} from 'zod';$/m, "import * as z from 'zod';"),
      loader: 'ts',
    }));
  },
};

/**
 * An ESM import of `node:http` makes Node read every export of it, and reading one of them (its WebSocket client) loads all of undici:
 * 3 MB and a tenth of what a start of the agent costs, for something that it does not use. Seen with Node 24.
 */
const leanHttp: Plugin = {
  name: 'lean-http',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^(node:)?http$/ }, ({ kind }) =>
      kind === 'import-statement' ? { path: 'node:http', namespace: 'lean-http' } : null,
    );
    onLoad({ filter: /^node:http$/, namespace: 'lean-http' }, () => ({
      contents: `const http = process.getBuiltinModule('node:http');
export default http;
export const { ${namesWithoutGetters(http).join(', ')} } = http;`,
    }));
  },
};

const namesWithoutGetters = (module: object): string[] =>
  Object.entries(Object.getOwnPropertyDescriptors(module)).flatMap(([name, { get }]) => (get ? [] : [name]));

export async function bundle(options: {
  entry: string;
  outfile: string;
  /** Values that are put in for names, as JavaScript. */
  define?: Record<string, string>;
  /** Releases go without: stack traces still name functions. */
  hasSourceMap?: boolean;
}): Promise<void> {
  await build({
    entryPoints: [options.entry],
    outfile: options.outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    sourcemap: options.hasSourceMap === false ? false : 'linked',
    // A third less to read, keep in memory and send. Names stay, for those who read a stack trace.
    minifyWhitespace: true,
    minifySyntax: true,
    define: options.define ?? {},
    external: optional,
    plugins: [shakeZod, leanHttp],
    banner: { js: banner },
    logLevel: 'warning',
  });
}

/** The agent's bundles as a release has them: with its version and with the public key (base64) that its updates are signed with. */
export async function bundleAgent(options: { outDir: string; version: string; releaseKey: string }): Promise<void> {
  const define = { LAI_VERSION: JSON.stringify(options.version), LAI_RELEASE_KEY: JSON.stringify(options.releaseKey) };
  for (const { entry, outfile } of bundles['agent'] ?? []) {
    await bundle({
      entry: resolve(import.meta.dirname, '../agent', entry),
      outfile: resolve(options.outDir, basename(outfile)),
      define,
      hasSourceMap: false,
    });
  }
}

/** Files beside the code that are read at run time: Redis scripts, and the installers that the coordinator gives out. */
const read: Record<string, string[]> = { coordinator: ['src/**/*.lua', '../deploy/agent/install.{sh,ps1}'], agent: [] };

/** In a bundle they lie in `dist` itself. */
function copyFiles(folder: string): void {
  for (const path of globSync(read[basename(folder)] ?? [], { cwd: folder })) {
    copyFileSync(resolve(folder, path), resolve(folder, 'dist', basename(path)));
  }
}

async function bundlePackage(folder: string): Promise<void> {
  for (const { entry, outfile } of bundles[basename(folder)] ?? []) {
    if (!existsSync(resolve(folder, entry))) {
      console.log(`build: ${basename(folder)}/${entry} does not exist yet, ${outfile} is not made`);
      continue;
    }
    await bundle({ entry: resolve(folder, entry), outfile: resolve(folder, outfile) });
    copyFiles(folder);
  }
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  await bundlePackage(cwd()).catch((error: unknown) => {
    // esbuild has already printed where and why.
    console.error(`build: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
    exit(1);
  });
}
