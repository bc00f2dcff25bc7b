import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fastTiming, until } from './__fixtures__/fixture.ts';
import { probeConformance } from './conformance.ts';
import { startMockProbe } from './gpu-mock.ts';
import type { GpuProbe } from './gpu-probe.ts';

const card = {
  name: 'Simulated RTX 3090',
  totalBytes: 24e9,
  usedBytes: 1e9,
  freeBytes: 23e9,
  utilization: 0,
  temperatureCelsius: 40,
  powerWatts: null,
};

probeConformance('mock engine’s', {
  showsGpu: false,
  start: async () => startMockProbe({ url: 'http://127.0.0.1:9', timing: fastTiming }),
});

describe('the simulated GPU of a mock engine', () => {
  let engine: Server;
  let url: string;
  let probe: GpuProbe;
  let answer: { status: number; body: string };
  let asked: string[];

  beforeEach(async () => {
    answer = { status: 200, body: JSON.stringify(card) };
    asked = [];
    engine = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(answer.status).end(answer.body);
    });
    await new Promise<void>((listening) => engine.listen(0, '127.0.0.1', listening));
    const { port } = engine.address() as AddressInfo;
    url = `http://127.0.0.1:${port}`;
    probe = startMockProbe({ url, timing: fastTiming });
  });

  afterEach(async () => {
    await probe.close();
    engine.closeAllConnections();
    engine.close();
  });

  it('is reported as simulated and as nothing else', async () => {
    await until('a reading', () => probe.read().length === 1);
    expect(asked[0]).toBe('GET /_mock/gpu');
    expect(probe.vendor).toBe('simulated');
    expect(probe.read()).toEqual([
      expect.objectContaining({ vendor: 'simulated', name: card.name, vramFreeBytes: 23e9, utilization: 0, powerWatts: null }),
    ]);
    expect(await probe.processes()).toBeNull();
  });

  it('follows the engine’s memory', async () => {
    await until('a reading', () => probe.read().length === 1);
    let changes = 0;
    probe.onChange(() => {
      changes += 1;
    });
    answer.body = JSON.stringify({ ...card, usedBytes: 20e9, freeBytes: 4e9 });
    await until('the new value', () => probe.read()[0]?.vramFreeBytes === 4e9);
    await until('a notice', () => changes === 1);
  });

  it.each([
    ['fails', 503, ''],
    ['answers something else', 200, '{"gpu":"yes"}'],
    ['answers no JSON', 200, '<html>'],
  ])('goes stale and says why when the engine %s', async (_, status, body) => {
    await probe.close();
    probe = startMockProbe({ url, timing: { ...fastTiming, staleAfterMs: 200 } });
    await until('a reading', () => probe.read().length === 1);
    answer = { status, body };
    await until('trouble', () => probe.trouble() !== null);
    await until('no value', () => probe.read()[0]?.vramFreeBytes === null);
    answer = { status: 200, body: JSON.stringify(card) };
    await until('recovery', () => probe.trouble() === null && probe.read()[0]?.vramFreeBytes === 23e9);
  });
});
