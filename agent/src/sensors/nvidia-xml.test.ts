import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { fixture } from './__fixtures__/fixture.ts';
import { type NvidiaInventory, parseNvidiaTree } from './nvidia-xml.ts';

const MiB = 2 ** 20;

/** The XML reader of `node-nvidia-smi` itself, with the options it uses. */
const requireHere = createRequire(import.meta.url);
const requireThere = createRequire(requireHere.resolve('node-nvidia-smi'));
const xml2js = requireThere('xml2js') as { parseStringPromise(xml: string, options: object): Promise<unknown> };
const treeOf = async (name: string): Promise<unknown> =>
  xml2js.parseStringPromise(await fixture(`nvidia/${name}.xml`), { explicitArray: false, trim: true });

const inventoryOf = async (name: string): Promise<NvidiaInventory> => {
  const parsed = parseNvidiaTree(await treeOf(name));
  if (parsed.kind !== 'inventory') throw new Error(parsed.reason);
  return parsed.inventory;
};

describe('nvidia-smi -q -x', () => {
  it('is read by an xml2js that cannot be polluted (0.5 or later)', () => {
    const { version } = requireThere('xml2js/package.json') as { version: string };
    expect(Number(version.split('.')[1])).toBeGreaterThanOrEqual(5);
  });

  it('gives one card as a list of one, with its programs', async () => {
    const { driverVersion, cards } = await inventoryOf('one-gpu');
    expect(driverVersion).toBe('570.133.07');
    expect(cards).toEqual([
      {
        id: 'GPU-3a1f0c52-9d7e-4b86-a1c4-5e0f7b2d9c11',
        name: 'NVIDIA GeForce RTX 3070',
        driverModel: null,
        vramTotalBytes: 8192 * MiB,
        vramUsedBytes: 5219 * MiB,
        vramFreeBytes: 2788 * MiB,
        utilization: 0.88,
        temperatureCelsius: 63,
        powerWatts: 171.53,
        processes: [
          expect.objectContaining({ pid: 1322, kind: 'graphics', usedBytes: 58 * MiB }),
          expect.objectContaining({ pid: 1490, kind: 'both', name: '/usr/bin/gnome-shell' }),
          expect.objectContaining({ pid: 48211, kind: 'compute', usedBytes: 5140 * MiB }),
        ],
      },
    ]);
  });

  it('gives two cards, one process on the first and an empty list on the second', async () => {
    const { cards } = await inventoryOf('two-gpus');
    expect(cards.map((card) => card.processes?.length)).toEqual([1, 0]);
    expect(cards[0]?.processes?.[0]).toMatchObject({ gpuId: cards[0]?.id, name: 'VLLM::EngineCore' });
  });

  it('prefers the instant power draw and falls back to the average', async () => {
    const { cards } = await inventoryOf('two-gpus');
    expect(cards.map((card) => card.powerWatts)).toEqual([341.27, 9.9]);
  });

  it('knows on Windows who holds the card but not how much', async () => {
    const { cards } = await inventoryOf('wddm');
    expect(cards[0]?.driverModel).toBe('WDDM');
    expect(cards[0]?.processes?.map((p) => [p.pid, p.kind, p.usedBytes])).toEqual([
      [1604, 'both', null],
      [7732, 'both', null],
      [15120, 'both', null],
      [20936, 'compute', null],
    ]);
    expect(cards[0]?.processes?.map((p) => p.name).slice(0, 3)).toEqual([
      null,
      'C:\\Windows\\explorer.exe',
      'D:\\SteamLibrary\\steamapps\\common\\ELDEN RING\\Game\\eldenring.exe',
    ]);
  });

  it('turns what the card cannot tell into null, impossible sizes too', async () => {
    const { cards } = await inventoryOf('not-available');
    expect(cards[0]).toMatchObject({
      vramTotalBytes: null,
      vramFreeBytes: null,
      utilization: null,
      temperatureCelsius: null,
      powerWatts: 11.3,
    });
  });

  it('takes all ones for "not available" when the card is smaller than that', async () => {
    const tree = JSON.parse(
      JSON.stringify(await treeOf('not-available')).replace('"total":"N/A"', '"total":"122000 MiB"'),
    ) as unknown;
    const parsed = parseNvidiaTree(tree);
    expect(parsed).toMatchObject({
      inventory: {
        cards: [
          {
            processes: [
              { pid: 4410, usedBytes: null },
              { pid: 4411, name: null, usedBytes: null, kind: 'compute' },
            ],
          },
        ],
      },
    });
  });

  it('says "not known" and not "nobody" where nvidia-smi prints no list; reads the oldest power section', async () => {
    const { cards } = await inventoryOf('no-process-list');
    expect(cards[0]).toMatchObject({ processes: null, powerWatts: 24.7 });
  });

  it.each([[undefined], [null], ['text'], [{}], [{ html: {} }]])('calls %j unreadable', (tree) => {
    expect(parseNvidiaTree(tree).kind).toBe('unreadable');
  });

  it('survives a card without any section', () => {
    expect(parseNvidiaTree({ nvidia_smi_log: { gpu: { $: { id: '0' } } } })).toMatchObject({
      inventory: { driverVersion: null, cards: [{ id: 'nvidia-0', vramTotalBytes: null, processes: null }] },
    });
  });
});
