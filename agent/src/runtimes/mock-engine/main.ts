import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startMockEngine } from './mock-engine.ts';
import { GIB } from './model-spec.ts';
import { DIALECTS, type DialectName, Tuning } from './options.ts';
import { VramLedger } from './vram-ledger.ts';

/** The mock engine as a program of its own. README.md lists the flags. */

const { values } = parseArgs({
  options: {
    dialect: { type: 'string', default: 'ollama' },
    port: { type: 'string', default: '0' },
    name: { type: 'string', default: 'mock-gpu' },
    'vram-gb': { type: 'string', default: '8' },
    models: { type: 'string', default: 'llama3.2:3b=2.0GB,slots=2,tps=60,ctx=8192,caps=chat+tools' },
    /** JSON, any part of `Tuning`. */
    tuning: { type: 'string', default: '{}' },
    'allow-faults': { type: 'boolean', default: false },
    'exit-with-parent': { type: 'boolean', default: false },
    'single-model': { type: 'boolean', default: false },
    'sleep-idle-seconds': { type: 'string' },
    'orphan-file': { type: 'string' },
  },
});

const dialectOf = (name: string): DialectName => {
  const found = DIALECTS.find((dialect) => dialect === name);
  if (!found) throw new Error(`--dialect is one of ${DIALECTS.join(', ')}, not "${name}"`);
  return found;
};

/** A file, or the models themselves. */
const modelsOf = (text: string): string => (existsSync(text) ? readFileSync(text, 'utf8') : text);

const readOrphanBytes = (path: string): number => (existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0);

const main = async (): Promise<void> => {
  const gpu = new VramLedger({ name: values.name, totalBytes: Number(values['vram-gb']) * GIB });
  const orphanFile = values['orphan-file'];
  // What an earlier process on this GPU left behind. Deleting the file is how a test "kills" the orphans.
  if (orphanFile !== undefined) gpu.setOrphanBytes(readOrphanBytes(orphanFile));
  const sleepSeconds = values['sleep-idle-seconds'];
  const mock = await startMockEngine({
    dialect: dialectOf(values.dialect),
    name: values.name,
    port: Number(values.port),
    gpu,
    models: modelsOf(values.models),
    tuning: Tuning.partial().parse(JSON.parse(values.tuning)) as Partial<Tuning>,
    allowFaults: values['allow-faults'],
    isSingleModel: values['single-model'],
    ...(sleepSeconds === undefined ? {} : { sleepIdleMs: Number(sleepSeconds) * 1000 }),
    onExit: (code) => {
      if (orphanFile !== undefined && gpu.orphanBytes > 0) writeFileSync(orphanFile, String(gpu.orphanBytes));
      process.exit(code);
    },
  });
  console.log(JSON.stringify({ listening: mock.url }));
  const leave = (): void => {
    // SIGTERM breaks running streams, in every one of the engines.
    void mock.close().then(() => process.exit(0));
  };
  process.on('SIGTERM', leave);
  process.on('SIGINT', leave);
  if (values['exit-with-parent']) process.stdin.resume().on('end', leave).on('error', leave);
};

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
