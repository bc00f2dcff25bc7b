import { createHash } from 'node:crypto';
import { z } from 'zod';
import { MOCK_CAPABILITIES, ModelSpec } from './options.ts';

const UNITS: Record<string, number> = { kb: 1e3, mb: 1e6, gb: 1e9, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 };

export const GIB = 2 ** 30;

/** `2.0GB`, `700MB`, `1.5GiB` or a plain number of bytes. */
export const parseBytes = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = match?.[2] === '' ? 1 : UNITS[match?.[2]?.toLowerCase() ?? ''];
  if (!match || unit === undefined) throw new Error(`"${text}" is not a size; write it like 2.0GB`);
  return Math.round(Number(match[1]) * unit);
};

/** `llama3.2:3b=2.0GB,slots=2,tps=60,ctx=8192,caps=chat+tools`; several are separated by `;` or white space. */
export const parseCompactModels = (text: string): ModelSpec[] =>
  text
    .split(/[;\s]+/)
    .filter((entry) => entry !== '')
    .map(parseCompactModel);

const parseCompactModel = (entry: string): ModelSpec => {
  const [head = '', ...rest] = entry.split(',');
  const at = head.lastIndexOf('=');
  if (at < 1) throw new Error(`"${entry}" is not a model; write it like llama3.2:3b=2.0GB,slots=2`);
  const settings = Object.fromEntries(rest.map(splitSetting));
  return ModelSpec.parse({
    name: head.slice(0, at),
    sizeBytes: parseBytes(head.slice(at + 1)),
    ...numberOf('slots', settings['slots']),
    ...numberOf('tps', settings['tps']),
    ...numberOf('contextLength', settings['ctx']),
    ...numberOf('dimensions', settings['dims']),
    ...(settings['caps'] === undefined ? {} : { capabilities: capabilitiesOf(settings['caps']) }),
    isPresent: settings['remote'] === undefined,
    isWarm: settings['warm'] !== undefined,
  });
};

const splitSetting = (setting: string): [string, string] => {
  const at = setting.indexOf('=');
  return at < 0 ? [setting, ''] : [setting.slice(0, at), setting.slice(at + 1)];
};

const numberOf = (key: string, text: string | undefined): Record<string, number> =>
  text === undefined ? {} : { [key]: Number(text) };

const capabilitiesOf = (text: string): string[] => {
  const caps = text.split('+').map((cap) => (cap === 'embeddings' ? 'embedding' : cap));
  const unknown = caps.find((cap) => !MOCK_CAPABILITIES.some((known) => known === cap));
  if (unknown !== undefined) throw new Error(`"${unknown}" is no capability; known are ${MOCK_CAPABILITIES.join(', ')}`);
  // Who can chat can also complete and write JSON, in every engine that we imitate.
  return caps.includes('chat') ? [...new Set([...caps, 'completion', 'json'])] : caps;
};

export const parseModels = (models: string | readonly z.input<typeof ModelSpec>[]): ModelSpec[] => {
  if (typeof models !== 'string') return z.array(ModelSpec).parse(models);
  return models.trimStart().startsWith('[') ? z.array(ModelSpec).parse(JSON.parse(models)) : parseCompactModels(models);
};

export const can = (spec: ModelSpec, capability: (typeof MOCK_CAPABILITIES)[number]): boolean =>
  spec.capabilities.includes(capability);

export const isEmbeddingOnly = (spec: ModelSpec): boolean => can(spec, 'embedding') && !can(spec, 'chat');

/** Stable across runs, so that digests in answers and in pull progress agree. */
export const digestOf = (name: string): string => createHash('sha256').update(name).digest('hex');

/** `3B` from `llama3.2:3b`; else guessed from four-bit weights. */
export const parameterSizeOf = (spec: ModelSpec): string => {
  const tagged = /(\d+(?:\.\d+)?)([bm])\b/i.exec(spec.name);
  return tagged ? `${tagged[1]}${tagged[2]?.toUpperCase()}` : `${(spec.sizeBytes / 0.6e9).toFixed(1)}B`;
};
