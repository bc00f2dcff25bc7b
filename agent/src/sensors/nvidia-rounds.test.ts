import { Gpu } from '@lai/shared/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixtureLines } from './__fixtures__/fixture.ts';
import { GpuReadings } from './gpu-readings.ts';
import { parseNvidiaLine } from './nvidia-csv.ts';
import { NvidiaRounds } from './nvidia-rounds.ts';

const ROW_0 = '0, GPU-6c0d, 580.95.05, 24576, 18211, 5914, 97, 71, 341.27, NVIDIA GeForce RTX 3090';
const ROW_1 = '1, GPU-b45e, 580.95.05, 24576, 4, 24248, 0, 34, 9.81, NVIDIA GeForce RTX 3090';
const LOST_1 = `1, [GPU is lost], 580.95.05${', [GPU is lost]'.repeat(7)}`;
const NAMED_1 = 'Unable to determine the device handle for GPU1: 0000:0A:00.0: Unknown Error';
const NAMED_BUS =
  'Unable to determine the device handle for GPU0000:0A:00.0: GPU is lost.  Reboot the system to recover this GPU';

/** What the probe shows after these lines, as [id, is it lost, total in MiB]. */
const shown = (lines: readonly string[]) => {
  const rounds = new NvidiaRounds();
  const readings = new GpuReadings({ staleAfterMs: 60_000 });
  for (const line of lines)
    for (const news of rounds.take(parseNvidiaLine(line)))
      if (news.kind === 'card') readings.put([news.gpu]);
      else readings.putAll(news.gpus);
  const cards = readings.read().map((gpu) => Gpu.parse(gpu));
  readings.close();
  return { cards, trouble: rounds.trouble, lost: cards.map((gpu) => [gpu.id, gpu.isLost ?? false]) };
};

describe('rounds of nvidia-smi', () => {
  const healthy = [ROW_0, ROW_1];
  const oneLost = [
    ['GPU-6c0d', false],
    ['GPU-b45e', true],
  ];

  it.each<[string, readonly string[], readonly (readonly [string, boolean])[] | typeof oneLost, RegExp | null]>([
    [
      'two cards that answer',
      [...healthy, ...healthy],
      [
        ['GPU-6c0d', false],
        ['GPU-b45e', false],
      ],
      null,
    ],
    ['a card whose cells say that it is lost', [...healthy, ROW_0, LOST_1], oneLost, /card 1\) is lost/],
    ['a card in whose place a sentence stands', [...healthy, NAMED_1, ROW_0, NAMED_1, ROW_0, NAMED_1], oneLost, /GPU1: 0000:0A/],
    ['a card that a sentence names by its bus', [...healthy, NAMED_BUS, ROW_0, NAMED_BUS, ROW_0], oneLost, /GPU0000:0A:00.0/],
    ['a card whose row goes without a word', [...healthy, ROW_0, ROW_0], oneLost, /does not list .* \(card 1\)/],
    [
      'a card that comes back',
      [...healthy, ROW_0, LOST_1, ...healthy, ...healthy],
      [
        ['GPU-6c0d', false],
        ['GPU-b45e', false],
      ],
      null,
    ],
    [
      'a fresh start with a card that only a sentence tells of',
      [NAMED_1, ROW_0, NAMED_1],
      [
        ['GPU-6c0d', false],
        ['nvidia-1', true],
      ],
      /GPU1/,
    ],
    [
      'the same card once it is back',
      [NAMED_1, ROW_0, NAMED_1, ROW_0, ...healthy, ...healthy],
      [
        ['GPU-6c0d', false],
        ['GPU-b45e', false],
      ],
      null,
    ],
    [
      'a fresh start with a card that is lost',
      [ROW_0, LOST_1, ROW_0],
      [
        ['GPU-6c0d', false],
        ['nvidia-1', true],
      ],
      /card 1\) is lost/,
    ],
    ['a card of which only the index and UUID are told', ['0, GPU-6c0d', '0, GPU-6c0d'], [['GPU-6c0d', false]], null],
  ])('show %s', (_, lines, cards, trouble) => {
    const seen = shown(lines);
    expect(seen.lost).toEqual(cards);
    if (trouble === null) expect(seen.trouble).toBeNull();
    else expect(seen.trouble).toMatch(trouble);
  });

  it('give a lost card its name and size, and nothing that could be counted as free', () => {
    const [, lost] = shown([...healthy, ROW_0, LOST_1]).cards;
    expect(lost).toMatchObject({ name: 'NVIDIA GeForce RTX 3090', vramTotalBytes: 24576 * 2 ** 20, vramFreeBytes: null });
  });

  it('tell words that nobody expected', () => {
    expect(shown(['nvidia-smi hat keine Verbindung zum Treiber', ROW_0, ROW_0]).trouble).toMatch(/keine Verbindung/);
  });

  it('show no card twice, lose none, and keep to the contract, whatever is cut from or put into the output', async () => {
    const captured = await fixtureLines('nvidia/two-gpus.csv');
    const odd = fc.constantFrom(
      '[N/A]',
      '[Unknown Error]',
      '[GPU is lost]',
      '[Not Supported]',
      '',
      '-1',
      '1e400',
      'null',
      'ERR!',
      '½',
    );
    const cell = fc.record({ line: fc.nat(3), column: fc.integer({ min: 1, max: 9 }), text: odd });
    const edit = fc.oneof(
      cell.map(({ line, column, text }) => (lines: string[]) => {
        const cells = (lines[line] ?? '').split(',');
        cells[column] = text;
        lines[line] = cells.join(',');
      }),
      fc.record({ line: fc.nat(3), keep: fc.nat(9) }).map(({ line, keep }) => (lines: string[]) => {
        lines[line] = (lines[line] ?? '').split(',').slice(0, keep).join(',');
      }),
      fc.record({ line: fc.nat(4), text: fc.string() }).map(({ line, text }) => (lines: string[]) => {
        lines.splice(line, 0, text.replaceAll('\n', ' '));
      }),
    );
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 4 }), (edits) => {
        const lines = [...captured];
        for (const change of edits) change(lines);
        const { cards, trouble } = shown([...captured, ...lines, ...lines]);
        expect(new Set(cards.map(({ id }) => id)).size).toBe(cards.length);
        for (const { id } of captured.map(parseNvidiaLine).flatMap((line) => (line.kind === 'reading' ? line.gpu : [])))
          expect(cards.map((gpu) => gpu.id)).toContain(id);
        for (const gpu of cards) if (gpu.isLost) expect([gpu.vramFreeBytes, trouble === null]).toEqual([null, false]);
      }),
      { numRuns: 300 },
    );
  });
});
