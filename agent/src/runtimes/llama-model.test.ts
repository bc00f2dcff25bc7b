import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GgufFacts } from './gguf-header.ts';
import {
  type LlamaLaunch,
  llamaCapabilities,
  llamaContext,
  llamaContextBytes,
  llamaSizeBytes,
  readLaunch,
} from './llama-model.ts';
import { type ModelInFolder, presetOf, scanModelsDir, watchModelsDir } from './llama-models-dir.ts';

const facts: GgufFacts = {
  architecture: 'llama',
  contextLength: 8_192,
  poolingType: null,
  hasChatTemplate: true,
  canUseTools: true,
  kvShape: { keys: 32_768, values: 32_768 },
};
const launch: LlamaLaunch = {
  file: '/m/x.gguf',
  projector: null,
  isForEmbeddings: false,
  slots: 2,
  contextLength: null,
  keyType: 'f16',
  valueType: 'f16',
  port: null,
};

describe('the arguments a model is started with', () => {
  it('tell its file, its slots, its context and what it is for', () => {
    expect(
      readLaunch([
        'llama-server',
        '--embeddings',
        '--ctx-size',
        '1024',
        '--model',
        '/m/x.gguf',
        '--mmproj',
        '/m/p.gguf',
        '-np',
        '4',
        '--cache-type-k',
        'q8_0',
        '--port',
        '40735',
      ]),
    ).toEqual({
      file: '/m/x.gguf',
      projector: '/m/p.gguf',
      isForEmbeddings: true,
      slots: 4,
      contextLength: 1_024,
      keyType: 'q8_0',
      valueType: 'f16',
      port: 40_735,
    });
  });

  it('tell nothing where nothing is said', () => {
    expect(readLaunch(['llama-server', '--ctx-size', '0', '--parallel', '-1', '--port', '0'])).toEqual({
      ...launch,
      file: null,
      slots: null,
    });
  });
});

describe('what a llama-server model can do', () => {
  it.each<[string, Partial<Parameters<typeof llamaCapabilities>[0]>, string[]]>([
    ['a chat model', { facts }, ['chat', 'completion', 'json', 'tools']],
    ['one without tools', { facts: { ...facts, canUseTools: false } }, ['chat', 'completion', 'json']],
    ['a base model', { facts: { ...facts, hasChatTemplate: false, canUseTools: false } }, ['completion', 'json']],
    ['one with a projector', { facts, launch: { ...launch, projector: 'p' } }, ['chat', 'completion', 'json', 'tools', 'vision']],
    ['one that says it sees', { facts, modalities: ['text', 'image'] }, ['chat', 'completion', 'json', 'tools', 'vision']],
    ['one that hears', { facts, modalities: ['text', 'audio'] }, ['chat', 'completion', 'json', 'tools', 'audio']],
    ['one for vectors', { facts: { ...facts, poolingType: 1 }, launch: { ...launch, isForEmbeddings: true } }, ['embedding']],
    ['one for vectors that was not started for them', { facts: { ...facts, poolingType: 1 } }, []],
    ['one that ranks', { facts: { ...facts, poolingType: 4 }, launch: { ...launch, isForEmbeddings: true } }, ['rerank']],
    ['one of which only the name is known', { facts: null, launch: null, id: 'nomic-embed' }, ['embedding']],
    ['another one of which only the name is known', { facts: null, launch: null }, ['chat', 'completion', 'json']],
  ])('%s', (_, known, capabilities) => {
    expect(llamaCapabilities({ facts: null, launch, modalities: ['text'], id: 'x', ...known })).toEqual(capabilities);
  });
});

describe('the context one request may have', () => {
  it.each<[string, Partial<Parameters<typeof llamaContext>[0]>, number | null]>([
    ['is what the loaded model says', { loaded: 512, launch: { ...launch, contextLength: 4_096 } }, 512],
    ['is the slot’s share of what was asked for', { launch: { ...launch, contextLength: 4_096 } }, 2_048],
    ['is all of it for vectors', { launch: { ...launch, contextLength: 4_096 }, isEmbedding: true }, 4_096],
    ['is the model’s own when nobody asked', {}, 8_192],
    ['is not known where nothing is', { launch: null, trained: null }, null],
  ])('%s', (_, known, context) => {
    expect(llamaContext({ loaded: null, trained: 8_192, launch, isEmbedding: false, ...known })).toBe(context);
  });
});

describe('what a llama-server model takes for its context', () => {
  const PER_TOKEN = 131_072;
  it.each<[string, GgufFacts | null, LlamaLaunch | null, number | null]>([
    ['is that of all slots together, as it was asked for', facts, { ...launch, contextLength: 10_000 }, 10_000 * PER_TOKEN],
    [
      'is less in fewer bits',
      facts,
      { ...launch, contextLength: 10_000, keyType: 'q8_0', valueType: 'q8_0' },
      5_312.5 * PER_TOKEN,
    ],
    ['is the least that a load needs where nobody asked', facts, launch, 2 * 4_096 * PER_TOKEN],
    ['is no more than the model was made for', { ...facts, contextLength: 512 }, launch, 2 * 512 * PER_TOKEN],
    ['is not known of models for vectors', { ...facts, poolingType: 1 }, launch, null],
    ['is not known of other models than we can read', { ...facts, kvShape: null }, launch, null],
    ['is not known without the file', null, launch, null],
    ['is not known without the launch', facts, null, null],
  ])('%s', (_, known, start, bytes) => {
    expect(llamaContextBytes(known, start)).toBe(bytes);
  });
});

describe('a folder of models', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lai-models-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const put = (path: string, bytes = 10) => {
    mkdirSync(join(dir, path, '..'), { recursive: true });
    writeFileSync(join(dir, path), Buffer.alloc(bytes));
  };
  const HEADER = Buffer.from(`GGUF\u0003${'\0'.repeat(19)}`, 'latin1');
  /** A whole header without entries, and bytes behind it. */
  const putModel = (path: string, bytes = 10) => {
    put(path);
    writeFileSync(join(dir, path), Buffer.concat([HEADER, Buffer.alloc(bytes - HEADER.length)]));
  };

  it('has the models that the router will find, by the names that it gives them', async () => {
    putModel('solo.gguf', 100);
    put('mmproj-solo.gguf');
    put('readme.md');
    putModel('shards/big-00001-of-00002.gguf', 300);
    put('shards/big-00002-of-00002.gguf', 120);
    putModel('eyes/model.gguf', 100);
    put('eyes/mmproj-model.gguf', 20);
    put('empty/notes.txt');
    expect((await scanModelsDir(dir)).map(({ id, hasProjector, sizeBytes }) => [id, hasProjector, sizeBytes])).toEqual([
      ['eyes', true, 120],
      ['shards', false, 420],
      ['solo', false, 100],
    ]);
  });

  it('has no models in files that only look like models', async () => {
    putModel('stories.gguf', 100);
    put('._stories.gguf', 4_096);
    putModel('apple/x.gguf', 100);
    put('apple/._x.gguf', 4_096);
    put('zero.gguf', 0);
    put('foreign.gguf', 64);
    for (const part of [1, 2, 3]) putModel(`shard-0000${part}-of-00003.gguf`, 100);
    expect((await scanModelsDir(dir)).map(({ id }) => id)).toEqual(['apple', 'shard-00001-of-00003', 'stories']);
  });

  it('has the models of linked folders', async () => {
    putModel('elsewhere/e.gguf', 100);
    mkdirSync(join(dir, 'models'));
    symlinkSync(join(dir, 'elsewhere'), join(dir, 'models', 'linked'));
    symlinkSync(join(dir, 'nowhere'), join(dir, 'models', 'dangling'));
    expect((await scanModelsDir(join(dir, 'models'))).map(({ id }) => id)).toEqual(['linked']);
  });

  it.each([
    ['one file', 'a.gguf', null, 10],
    ['all parts of a model', 'big-00001-of-00003.gguf', null, 60],
    ['the projector too', 'big-00001-of-00003.gguf', 'mmproj.gguf', 67],
    ['a part that is no first one', 'big-00002-of-00003.gguf', null, 60],
    ['the parts that are there', 'torn-00001-of-00009.gguf', null, 5],
    ['nothing that cannot be seen', 'nowhere.gguf', null, null],
  ])('takes as much memory as its files: %s', async (_, file, projector, bytes) => {
    put('a.gguf');
    for (const part of [1, 2, 3]) put(`big-0000${part}-of-00003.gguf`, part * 10);
    put('torn-00001-of-00009.gguf', 5);
    put('mmproj.gguf', 7);
    expect(await llamaSizeBytes(join(dir, file), projector && join(dir, projector))).toBe(bytes);
  });

  it('that is not there has none', async () => {
    expect(await scanModelsDir(join(dir, 'nowhere'))).toEqual([]);
  });

  it('is worth another look when something came, went or was exchanged, and not otherwise', async () => {
    const look = watchModelsDir({ dir, presetFile: join(dir, 'preset.ini'), contextLength: null, slots: 2 });
    putModel('a.gguf', 100);
    expect(await look()).toBe(true); // the preset is new
    expect(await look()).toBe(false);
    putModel('b.gguf', 100);
    expect(await look()).toBe(true);
    putModel('b.gguf', 110);
    expect(await look()).toBe(true);
    rmSync(join(dir, 'a.gguf'));
    expect(await look()).toBe(true);
    expect(await look()).toBe(false);
    expect(readFileSync(join(dir, 'preset.ini'), 'utf8')).toBe('version = 1\n');
  });

  const found = (id: string, more: Partial<GgufFacts> = {}): ModelInFolder => ({
    id,
    file: `/m/${id}.gguf`,
    isMistaken: false,
    hasProjector: false,
    sizeBytes: 1,
    facts: { ...facts, ...more },
  });

  it('has a preset that starts models for vectors as such, and gives every request the wanted context', () => {
    const models = [
      found('chat'),
      found('short', { contextLength: 1_024 }),
      found('vec', { poolingType: 1 }),
      found('rank', { poolingType: 4 }),
    ];
    expect(presetOf(models, { contextLength: 4_096, slots: 2 })).toBe(
      [
        'version = 1',
        '[chat]\nc = 8192',
        '[short]\nc = 2048',
        '[vec]\nembeddings = true',
        '[rank]\nembeddings = true\nreranking = true\n',
      ].join('\n\n'),
    );
  });

  it('has a preset that names the file where the router would take another one', () => {
    const models = [{ ...found('apple'), file: '/m/apple/x.gguf', isMistaken: true }];
    expect(presetOf(models, { contextLength: null, slots: 1 })).toBe('version = 1\n\n[apple]\nmodel = /m/apple/x.gguf\n');
  });

  it('has a preset that no file’s name can break out of', () => {
    expect(presetOf([found('a]\nb = 1\n[c', { poolingType: 1 })], { contextLength: null, slots: 1 })).toBe('version = 1\n');
  });
});
