import type { Explanation, FleetStatus, NodeEntry } from '@lai/shared/admin-api';
import { isPlain } from '@lai/shared/plain-text';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { explanationText } from './explain.ts';
import { modelTable } from './models.ts';
import { nodeTable } from './nodes.ts';
import { statusText } from './status.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    ...[
      '\u001b]0;title\u0007',
      '\u001b]52;c;eA==\u0007',
      '\u001b]8;;http://x\u001b\\',
      '\u009d0;t\u009c',
      '\u001b[2J',
      '\u001b[31mred',
    ],
    ...['\u202eevil', '\u2066a', '\r', 'a\nFAKE ROW', '\ud800', '\u{e0041}'],
  ),
);

const statusOf = (word: () => string): FleetStatus => ({
  ...{ version: word(), uptimeSeconds: 1, redis: 'up', waiting: 0, running: 0 },
  nodes: [
    {
      ...{ nodeId: 'node_1', liveness: 'alive', lastSeenMs: 0, epoch: 1 },
      snapshot: {
        ...{ name: word(), sequence: 1, takenAtMs: 1, agentVersion: word() },
        os: { platform: 'linux', release: word(), arch: word() },
        runtimes: [{ kind: 'ollama', version: word(), state: 'failed', mode: 'adopted', isSimulated: false, detail: word() }],
        gpus: [
          {
            ...{ id: word(), name: word(), vendor: 'nvidia', isUnifiedMemory: false, vramTotalBytes: 1, vramUsedBytes: 1 },
            ...{ vramFreeBytes: 1, utilization: null, temperatureCelsius: null, powerWatts: null, driverVersion: word() },
          },
        ],
        ...{ memory: { totalBytes: 1, freeBytes: 1 }, modelDiskFreeBytes: null },
        models: [
          {
            ...{ id: word(), runtime: 'ollama', state: 'failed', capabilities: ['chat'], contextLength: 1, sizeBytes: 1 },
            ...{ vramBytes: 1, slots: 1, inFlight: 0, isPinned: false, expiresAtMs: null },
            failure: { code: 'load_failed', message: word(), atMs: 1 },
          },
        ],
        holds: [{ kind: 'gaming', cause: word(), sinceMs: 1, untilMs: null }],
        ...{ troubles: [word()], pulls: [{ model: word(), completedBytes: 1, totalBytes: 2 }], maxConcurrent: 1, inFlight: 0 },
      },
    } as unknown as FleetStatus['nodes'][number],
  ],
});

const entryOf = (word: () => string): NodeEntry =>
  ({
    ...{ id: word(), name: word(), state: 'locked', stateReason: word(), group: word(), fingerprint: word() },
    ...{ lastConnectedAtMs: 1, lastAddress: word(), lastTransport: 'plain' },
    desired: { generation: 0, isDraining: false, pinnedModels: [word()] },
  }) as NodeEntry;

const explanationOf = (word: () => string): Explanation => {
  const placement = {
    candidates: [{ node: word(), model: word(), action: word(), expectedMs: 1, parts: { [word()]: 1 } }],
    refusals: [{ node: word(), model: word(), reason: word(), detail: word() }],
  };
  return {
    ...{ requestId: word(), keyId: word(), route: word(), priority: word(), outcome: word() },
    target: { model: word(), capabilities: [word()], contextTokens: 1 },
    ...{ enqueuedAtMs: 1, queueMs: null, endedAtMs: 2 },
    attempts: [{ node: word(), model: word(), startedAtMs: 1, outcome: word(), placement }],
    way: { asked: word(), because: word(), step: word(), left: [{ step: word(), reason: word(), detail: word() }] },
    lastPlacement: placement,
  } as Explanation;
};

const PAGES: Readonly<Record<string, (word: () => string) => string>> = {
  explain: (word) => explanationText(explanationOf(word)),
  status: (word) => statusText(statusOf(word), { entries: [{ ...entryOf(word), id: 'node_2' }], nowMs: 1, isWide: true }),
  'models list': (word) => modelTable(statusOf(word)),
  'nodes list': (word) => nodeTable([entryOf(word)]),
};
// biome-ignore lint/suspicious/noControlCharactersInRegex: styles begin with an escape.
const STYLE = /\u001b\[\d{1,2}m/g;
const lineCount = (page: string) => page.split('\n').length;

describe.each(Object.entries(PAGES))('lai %s', (_, pageOf) => {
  const ownStyles = new Set(pageOf(() => 'x').match(STYLE));

  it('shows what nodes and clients named, with nothing in it that a terminal obeys, and as many lines as ever', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 12 }), (words) => {
        let at = 0;
        const page = pageOf(() => words[at++ % words.length] ?? '');
        expect(
          page
            .replaceAll(STYLE, (style) => (ownStyles.has(style) ? '' : style))
            .split('\n')
            .filter((line) => !isPlain(line)),
        ).toEqual([]);
        expect(lineCount(page)).toBe(lineCount(pageOf(() => 'x')));
      }),
      { numRuns: 500 },
    );
  });
});
