import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { startMockEngine } from './mock-engine.ts';
import { GIB } from './model-spec.ts';
import { DIALECTS, type DialectName, Tuning } from './options.ts';
import { VramLedger } from './vram-ledger.ts';

/** The mock engine as a program of its own. README.md says more about the flags. */

const USAGE = `usage: lai-mock-engine [options]

A program that stands in for an inference engine on a machine without a GPU. It listens on 127.0.0.1 and says in every answer that it is simulated.

  --dialect NAME           ${DIALECTS.join(', ')} (ollama)
  --port N                 0, the default, takes a free one
  --name NAME              of the simulated GPU (mock-gpu)
  --vram-gb N              its memory (8)
  --models TEXT            'llama3.2:3b=2.0GB,slots=2,tps=60; ...', JSON, or a file with either
  --tuning JSON            any part of Tuning in options.ts, as '{"tps":0}'
  --allow-faults           requests may carry faults of their own
  --exit-with-parent       end when stdin closes
  --single-model           llama-server without a router: one model, loaded at the start
  --sleep-idle-seconds N   llama-server: idle models sleep
  --orphan-file FILE       where an orphan's memory is remembered for the next process on this GPU
  --help                   this`;

const readFlags = () =>
  parseArgs({
    options: {
      dialect: { type: 'string', default: 'ollama' },
      port: { type: 'string', default: '0' },
      name: { type: 'string', default: 'mock-gpu' },
      'vram-gb': { type: 'string', default: '8' },
      models: { type: 'string', default: 'llama3.2:3b=2.0GB,slots=2,tps=60,ctx=8192,caps=chat+tools' },
      tuning: { type: 'string', default: '{}' },
      'allow-faults': { type: 'boolean', default: false },
      'exit-with-parent': { type: 'boolean', default: false },
      'single-model': { type: 'boolean', default: false },
      'sleep-idle-seconds': { type: 'string' },
      'orphan-file': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  }).values;

const dialectOf = (name: string): DialectName => {
  const found = DIALECTS.find((dialect) => dialect === name);
  if (!found) throw new Error(`--dialect is one of ${DIALECTS.join(', ')}, not "${name}"`);
  return found;
};

const numberOf = (flag: string, text: string, most = 1_000_000): number => {
  const number = Number(text);
  if (text.trim() === '' || !(number >= 0 && number <= most))
    throw new Error(`--${flag} is a number from 0 to ${most}, not "${text}"`);
  return number;
};

const tuningOf = (text: string): Partial<Tuning> => {
  try {
    return Tuning.partial().parse(JSON.parse(text)) as Partial<Tuning>;
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new Error(`--tuning is JSON with any part of Tuning in options.ts. ${reason}`);
  }
};

/** A file, or the models themselves. */
const modelsOf = (text: string): string => (existsSync(text) ? readFileSync(text, 'utf8') : text);

const readOrphanBytes = (path: string): number => (existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0);

const main = async (): Promise<void> => {
  const values = readFlags();
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const gpu = new VramLedger({ name: values.name, totalBytes: numberOf('vram-gb', values['vram-gb']) * GIB });
  const orphanFile = values['orphan-file'];
  // What an earlier process on this GPU left behind. Deleting the file is how a test "kills" the orphans.
  if (orphanFile !== undefined) gpu.setOrphanBytes(readOrphanBytes(orphanFile));
  const sleepSeconds = values['sleep-idle-seconds'];
  const mock = await startMockEngine({
    dialect: dialectOf(values.dialect),
    name: values.name,
    port: numberOf('port', values.port, 65_535),
    gpu,
    models: modelsOf(values.models),
    tuning: tuningOf(values.tuning),
    allowFaults: values['allow-faults'],
    isSingleModel: values['single-model'],
    ...(sleepSeconds === undefined ? {} : { sleepIdleMs: numberOf('sleep-idle-seconds', sleepSeconds) * 1000 }),
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
  console.error(`lai-mock-engine: ${error instanceof Error ? error.message : error}\nSee lai-mock-engine --help.`);
  process.exit(1);
});
