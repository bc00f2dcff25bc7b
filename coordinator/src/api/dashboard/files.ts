import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json',
  '.md': 'text/plain; charset=utf-8',
};

export type Packing = 'br' | 'gzip' | 'identity';

export interface DashboardFile {
  readonly type: string;
  readonly etag: string;
  /** Its name changes with its content, so it may be kept for good. */
  readonly isForGood: boolean;
  readonly bytes: Readonly<Partial<Record<Packing, Buffer>>> & { readonly identity: Buffer };
}

/** Beside our own bundle when bundled, where the build puts it when run from source. */
const FOLDER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../../dist/dashboard' : './dashboard', import.meta.url),
);

/** All files of the page, by path, read once: half a megabyte packed. Empty when it was not built. */
export const readDashboard = (folder = FOLDER): ReadonlyMap<string, DashboardFile> => {
  if (!existsSync(folder)) return new Map();
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && extname(entry.name) in TYPES)
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    paths.map((path) => {
      const identity = readFileSync(path);
      const packed = (ending: string): Buffer | undefined =>
        existsSync(path + ending) ? readFileSync(path + ending) : undefined;
      const [br, gzip] = [packed('.br'), packed('.gz')];
      const name = relative(folder, path).replaceAll(sep, '/');
      const file: DashboardFile = {
        type: TYPES[extname(path)] ?? 'application/octet-stream',
        etag: `"${createHash('sha256').update(identity).digest('hex').slice(0, 32)}"`,
        isForGood: name.startsWith('assets/'),
        bytes: { identity, ...(br ? { br } : {}), ...(gzip ? { gzip } : {}) },
      };
      return [name, file] as const;
    }),
  );
};

/** The smallest form that a browser says it takes. Pure. */
export const packingFor = (acceptEncoding: string | undefined, { bytes }: DashboardFile): Packing => {
  const taken = new Map(
    (acceptEncoding ?? '').split(',').map((item) => {
      const [name = '', quality = 'q=1'] = item
        .trim()
        .toLowerCase()
        .split(/\s*;\s*/);
      return [name, Number(quality.replace(/^q=/, ''))];
    }),
  );
  const isTaken = (packing: 'br' | 'gzip') => bytes[packing] !== undefined && (taken.get(packing) ?? taken.get('*') ?? 0) > 0;
  return isTaken('br') ? 'br' : isTaken('gzip') ? 'gzip' : 'identity';
};
