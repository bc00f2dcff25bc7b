import type { Gpu, LoadedModel } from '@lai/shared/node';
import { readinessOf, readinessText } from '@lai/shared/readiness';
import { escapedTexts } from '@lai/shared/terminal-text';
import type { LocalStatus } from '../local/local-status.ts';

/** What `lai-agent status` prints. Pure. */
export const statusPage = (said: LocalStatus, nowMs: number): string => {
  const status = escapedTexts(said);
  const { node, coordinator, snapshot, engines, troubles } = status;
  const rows: [string, string][] = [
    ['node', `${node.name} (${node.nodeId}), agent ${node.agentVersion}, process ${node.pid}`],
    [
      'fleet',
      `${coordinator.state === 'open' ? 'connected to' : `${coordinator.state}:`} ${coordinator.url}${suffix(coordinator.detail)}`,
    ],
    ['serves', readinessText(readinessOf(snapshot))],
    ['gaming', gamingLine(status, nowMs)],
    ...(snapshot.preemption
      ? [['freeing', snapshot.preemption.steps.map(({ step, detail }) => step + suffix(detail)).join(' → ')] as [string, string]]
      : []),
    ...snapshot.holds.map(({ kind, cause, untilMs }): [string, string] => ['held', `${kind}: ${cause}${until(untilMs, nowMs)}`]),
    ...engines.map((engine): [string, string] => [
      'engine',
      [engine.name, engine.version, engine.isOwned ? 'ours' : 'adopted', engine.phase].filter(Boolean).join(', ') +
        suffix(engine.reason),
    ]),
    ...(engines.length === 0 ? [['engine', 'none found'] as [string, string]] : []),
    ...(snapshot.gpus.length === 0 ? [['gpu', 'none that can be read; models run on the CPU'] as [string, string]] : []),
    ...snapshot.gpus.map((gpu): [string, string] => ['gpu', gpuLine(gpu)]),
    ...troubles.map((trouble): [string, string] => ['trouble', trouble]),
  ];
  const page = rows.map(([label, text]) => `${label.padEnd(9)}${text}`).join('\n');
  return snapshot.models.length === 0 ? page : `${page}\n\n${modelsTable(snapshot.models)}`;
};

const gamingLine = ({ snapshot: { gaming } }: LocalStatus, nowMs: number): string => {
  if (!gaming) return 'not known';
  const mode = `${gaming.mode}${gaming.setBy === 'default' ? '' : ` (set by the ${gaming.setBy})`}`;
  return `${mode}: ${gaming.isActive ? `ACTIVE, ${gaming.cause}` : 'the fleet may use this machine'}${until(gaming.untilMs, nowMs)}`;
};

/** One line per model, columns aligned. */
export const modelsTable = (models: readonly LoadedModel[]): string => {
  const cells = escapedTexts(models).map((model) => [
    model.id,
    model.state,
    gigabytes(model.state === 'warm' ? (model.vramBytes ?? model.sizeBytes) : model.sizeBytes),
    `${model.inFlight} of ${model.slots} slots`,
    model.runtime,
    model.failure?.message ?? (model.isPinned ? 'pinned' : ''),
  ]);
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};

const gpuLine = (gpu: Gpu): string =>
  [
    gpu.name,
    gpu.isLost ? 'LOST: it does not answer, and its memory is not counted' : null,
    gpu.vramTotalBytes === null ? null : `${gigabytes(gpu.vramUsedBytes)} of ${gigabytes(gpu.vramTotalBytes)} used`,
    gpu.utilization === null ? null : `${Math.round(gpu.utilization * 100)} % busy`,
    gpu.temperatureCelsius === null ? null : `${Math.round(gpu.temperatureCelsius)} °C`,
    gpu.powerWatts === null ? null : `${Math.round(gpu.powerWatts)} W`,
  ]
    .filter((part) => part !== null)
    .join(', ');

const gigabytes = (bytes: number | null): string => (bytes === null ? '?' : `${(bytes / 1e9).toFixed(1)} GB`);

const suffix = (detail: string | null): string => (detail === null ? '' : ` (${detail})`);

const until = (untilMs: number | null, nowMs: number): string => {
  if (untilMs === null) return '';
  const minutes = Math.max(1, Math.round((untilMs - nowMs) / 60_000));
  return minutes < 60 ? `, ${minutes} min left` : `, ${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
};
