import type { ServerResponse } from 'node:http';
import type { Engine } from './engine.ts';
import type { HostedModel } from './hosted-model.ts';
import { digestOf } from './model-spec.ts';

/** Its progress lines come about that often. */
const CADENCE_MS = 60;
/** The small layer beside the weights: it is told only when nothing is to be downloaded. */
const CONFIG_BYTES = 261;

interface Download {
  completedBytes: number;
  /** Who waits for it; the download stops when the last one goes. */
  readonly watchers: Set<() => void>;
  timer: NodeJS.Timeout | null;
}

/** What is on disk of each model that was never finished. Kept, so that the next pull goes on from there. */
const downloads = new WeakMap<HostedModel, Download>();

const downloadOf = (model: HostedModel): Download => {
  const known = downloads.get(model);
  if (known) return known;
  const download: Download = { completedBytes: 0, watchers: new Set(), timer: null };
  downloads.set(model, download);
  return download;
};

const layer = (digest: string, total: number, completed: number): object => ({
  status: `pulling ${digest.slice(0, 12)}`,
  digest: `sha256:${digest}`,
  total,
  // Go leaves zeros out.
  ...(completed > 0 ? { completed } : {}),
});

/**
 * Writes the progress of one pull, line by line, and ends the answer. Not streamed, only the last line counts: success, or
 * the error with status 500. A second pull of the same model watches the same download.
 */
export const pullModel = (job: {
  engine: Engine;
  model: HostedModel | undefined;
  res: ServerResponse;
  isStream: boolean;
}): void => {
  const { engine, model, res, isStream } = job;
  const say = (line: object): void => {
    if (isStream) res.write(`${JSON.stringify(line)}\n`);
  };
  const end = (line: object): void => {
    if (isStream) return void res.end(`${JSON.stringify(line)}\n`);
    res.writeHead('error' in line ? 500 : 200, { 'content-type': 'application/json' });
    res.end(JSON.stringify(line));
  };
  if (isStream) res.writeHead(200, { 'content-type': 'application/x-ndjson' });
  say({ status: 'pulling manifest' });
  if (!model) {
    end({ error: 'pull model manifest: file does not exist' });
    return;
  }
  const digest = digestOf(`${model.spec.name}/weights`);
  const total = model.spec.sizeBytes;
  const complete = (): void => {
    model.isPresent = true;
    say({ status: 'verifying sha256 digest' });
    say({ status: 'writing manifest' });
    end({ status: 'success' });
  };
  if (model.isPresent) {
    say(layer(digest, total, total));
    say(layer(digestOf(`${model.spec.name}/config`), CONFIG_BYTES, CONFIG_BYTES));
    complete();
    return;
  }
  const download = downloadOf(model);
  const broken = engine.faults.claim('pull-error', model.spec.name);
  const full = engine.faults.claim('disk-full', model.spec.name);
  let lines = 0;
  const watch = (): void => {
    lines += 1;
    if (broken && lines > broken.afterTokens) {
      leave();
      end({ error: 'max retries exceeded: Get "https://registry.invalid/blob": EOF' });
      return;
    }
    if (full && lines > full.afterTokens) {
      leave();
      end({ error: `write sha256-${digest}-partial: no space left on device` });
      return;
    }
    say(layer(digest, total, Math.min(total, download.completedBytes)));
    if (download.completedBytes < total) return;
    leave();
    complete();
  };
  const leave = (): void => {
    download.watchers.delete(watch);
    if (download.watchers.size > 0 || !download.timer) return;
    clearInterval(download.timer);
    download.timer = null;
  };
  download.watchers.add(watch);
  download.timer ??= setInterval(() => advance(engine, download), CADENCE_MS);
  res.on('close', leave);
};

const advance = (engine: Engine, download: Download): void => {
  download.completedBytes += Math.ceil((engine.tuning.pullBytesPerSecond * CADENCE_MS) / 1000);
  for (const watch of [...download.watchers]) watch();
};

export const forgetDownload = (model: HostedModel): void => {
  downloads.delete(model);
};
