import { isPlain } from '@lai/shared/plain-text';
import { describe, expect, it } from 'vitest';
import type { LocalStatus } from '../local/local-status.ts';
import { statusPage } from './status-page.ts';

const NOW = 1_795_257_000_000;
const status: LocalStatus = {
  version: 1,
  node: { name: 'attic', nodeId: 'node_1', agentVersion: '0.1.0', pid: 77 },
  coordinator: { url: 'http://lai:5240', state: 'open', detail: null },
  snapshot: {
    name: 'attic',
    sequence: 1,
    takenAtMs: NOW,
    agentVersion: '0.1.0',
    os: { platform: 'linux', release: '6', arch: 'x64' },
    runtimes: [{ kind: 'ollama', version: '0.32.15', state: 'ready', mode: 'adopted', isSimulated: false, detail: null }],
    gpus: [
      {
        id: 'g',
        name: 'RTX 3070',
        vendor: 'nvidia',
        isUnifiedMemory: false,
        vramTotalBytes: 8e9,
        vramUsedBytes: 3.1e9,
        vramFreeBytes: 4.9e9,
        utilization: 0.35,
        temperatureCelsius: 41,
        powerWatts: null,
        driverVersion: null,
      },
    ],
    memory: { totalBytes: 16e9, freeBytes: 8e9 },
    modelDiskFreeBytes: null,
    models: [
      {
        id: 'llama3.2:3b',
        runtime: 'ollama',
        state: 'warm',
        capabilities: ['chat'],
        contextLength: 8192,
        sizeBytes: 2e9,
        vramBytes: 2.4e9,
        slots: 2,
        inFlight: 1,
        isPinned: false,
        expiresAtMs: null,
        failure: null,
      },
      {
        id: 'm',
        runtime: 'ollama',
        state: 'failed',
        capabilities: ['chat'],
        contextLength: null,
        sizeBytes: null,
        vramBytes: null,
        slots: 1,
        inFlight: 0,
        isPinned: false,
        expiresAtMs: null,
        failure: { code: 'load_failed', message: 'loading m failed', atMs: NOW },
      },
    ],
    holds: [],
    gaming: { mode: 'auto', setBy: 'default', untilMs: null, isActive: false, cause: null, allowsForced: true },
    preemption: null,
    maxConcurrent: 4,
    inFlight: 1,
  },
  engines: [{ name: 'ollama', phase: 'ready', isOwned: false, pid: null, reason: null, version: '0.32.15' }],
  troubles: [],
  process: { uptimeMs: 1, rssBytes: 1, isKeepingAwake: false, eventLoopDelayMaxMs: null },
};

describe('the page of a machine', () => {
  it('tells what there is and what it does', () => {
    expect(statusPage(status, NOW)).toBe(
      [
        'node     attic (node_1), agent 0.1.0, process 77',
        'fleet    connected to http://lai:5240',
        'serves   Ollama 0.32.15 is ready with llama3.2:3b, m.',
        'gaming   auto: the fleet may use this machine',
        'engine   ollama, 0.32.15, adopted, ready',
        'gpu      RTX 3070, 3.1 GB of 8.0 GB used, 35 % busy, 41 °C',
        '',
        'llama3.2:3b  warm    2.4 GB  1 of 2 slots  ollama',
        'm            failed  ?       0 of 1 slots  ollama  loading m failed',
      ].join('\n'),
    );
  });

  it('tells why it is held, for how long, and how far it is with giving the GPU back', () => {
    const page = statusPage(
      {
        ...status,
        coordinator: { url: 'http://lai:5240', state: 'refused', detail: 'revoked' },
        engines: [
          { name: 'llama-server', phase: 'quarantined', isOwned: true, pid: null, reason: 'it died 5 times', version: null },
        ],
        troubles: ['nvidia-smi has failed'],
        snapshot: {
          ...status.snapshot,
          models: [],
          runtimes: [
            {
              kind: 'llama-server',
              version: null,
              state: 'failed',
              mode: 'owned',
              isSimulated: false,
              detail: 'it died 5 times',
            },
          ],
          gpus: [],
          holds: [{ kind: 'gaming', cause: 'owner', sinceMs: NOW, untilMs: NOW + 7_200_000 }],
          gaming: { mode: 'on', setBy: 'owner', untilMs: NOW + 7_200_000, isActive: true, cause: 'owner', allowsForced: true },
          preemption: {
            step: 'freed',
            sinceMs: NOW,
            steps: [
              { step: 'unloading', atMs: NOW, detail: null },
              { step: 'freed', atMs: NOW, detail: 'by the GPU' },
            ],
          },
        },
      },
      NOW,
    );
    expect(page.split('\n').slice(1)).toEqual([
      'fleet    refused: http://lai:5240 (revoked)',
      'serves   llama-server does not work (it died 5 times). See what it said: lai-agent logs llama-server',
      'gaming   on (set by the owner): ACTIVE, owner, 2 h 0 min left',
      'freeing  unloading → freed (by the GPU)',
      'held     gaming: owner, 2 h 0 min left',
      'engine   llama-server, ours, quarantined (it died 5 times)',
      'gpu      none that can be read; models run on the CPU',
      'trouble  nvidia-smi has failed',
    ]);
  });
});

describe('statusPage of names from elsewhere', () => {
  it.each(['\u001b]0;t\u0007', '\u009b2J', '\u202eevil', '\u001b[2J', 'a\nserves   ready'])(
    'shows %j without obeying it',
    (name) => {
      const { snapshot } = status;
      const [model] = snapshot.models;
      const [engine] = status.engines;
      if (!model || !engine) throw new Error('the status has a model and an engine');
      const page = statusPage(
        {
          ...status,
          coordinator: { ...status.coordinator, detail: name },
          snapshot: { ...snapshot, models: [{ ...model, id: name }], gpus: snapshot.gpus.map((gpu) => ({ ...gpu, name })) },
          engines: [{ ...engine, version: name, reason: name }],
          troubles: [name],
        },
        NOW,
      );
      expect(page.split('\n').every(isPlain)).toBe(true);
      expect(page.split('\n').filter((line) => line.startsWith('serves'))).toHaveLength(1);
    },
  );
});
