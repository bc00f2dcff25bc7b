/**
 * A registry of models on loopback, so that a real Ollama pulls from somewhere without the internet: one GGUF file under any name but
 * `no-such-model`, in the manifest and blob routes that Ollama asks for, at a speed of choice.
 *
 *   const registry = await openModelRegistry({ file, bytesPerSecond });
 *   pull `${registry.host}/library/demo:latest`
 */
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

export interface ModelRegistry {
  /** What a model's name begins with. */
  readonly host: string;
  /** Bytes of the model that were sent, over all downloads: a resumed pull does not fetch twice. */
  sentBytes(): number;
  close(): Promise<void>;
}

const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const manifestType = 'application/vnd.docker.distribution.manifest.v2+json';

export async function openModelRegistry(options: { file: string; bytesPerSecond: number }): Promise<ModelRegistry> {
  const { file, bytesPerSecond } = options;
  const model = { digest: digestOf(readFileSync(file)), size: statSync(file).size };
  const config = Buffer.from(
    JSON.stringify({
      model_format: 'gguf',
      model_family: 'llama',
      model_families: ['llama'],
      model_type: '0.1M',
      file_type: 'F32',
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [model.digest] },
    }),
  );
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: 'application/vnd.docker.container.image.v1+json', digest: digestOf(config), size: config.length },
    layers: [{ mediaType: 'application/vnd.ollama.image.model', ...model }],
  });
  let sentBytes = 0;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [, kind, reference] = /\/(manifests|blobs)\/([^/?]+)$/.exec(request.url ?? '') ?? [];
    const isKnown =
      kind === 'manifests'
        ? !request.url?.includes('/no-such-model/')
        : reference === digestOf(config) || reference === model.digest;
    if (kind === undefined || !isKnown) {
      response.writeHead(404).end(JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }] }));
      return;
    }
    if (kind === 'manifests') {
      response.writeHead(200, { 'content-type': manifestType }).end(manifest);
      return;
    }
    const { port } = listener.address() as AddressInfo;
    // Ollama insists on being sent elsewhere for the bytes themselves, as its own registry does.
    if (request.method === 'GET' && request.headers.host?.startsWith('127.0.0.1')) {
      response.writeHead(307, { location: `http://localhost:${port}${request.url}` }).end();
      return;
    }
    const size = reference === model.digest ? model.size : config.length;
    const [, from = '0', to = ''] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '') ?? [];
    const [start, end] = [Number(from), to === '' ? size - 1 : Number(to)];
    const isPart = request.headers.range !== undefined;
    response.writeHead(isPart ? 206 : 200, {
      'accept-ranges': 'bytes',
      'content-length': request.method === 'HEAD' ? size : end - start + 1,
      ...(isPart ? { 'content-range': `bytes ${start}-${end}/${size}` } : {}),
    });
    if (request.method === 'HEAD') response.end();
    else if (reference !== model.digest) response.end(config.subarray(start, end + 1));
    else await send(response, start, end);
  };

  const send = async (response: ServerResponse, start: number, end: number): Promise<void> => {
    for await (const bytes of createReadStream(file, { start, end, highWaterMark: 64 * 1024 })) {
      if (response.destroyed) return;
      sentBytes += bytes.length;
      response.write(bytes);
      while (response.writableNeedDrain && !response.destroyed) await pause(5);
      await pause((bytes.length / bytesPerSecond) * 1_000);
    }
    response.end();
  };

  const listener = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    sentBytes: () => sentBytes,
    close: async () => {
      listener.closeAllConnections();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
