import { memo, useRef } from 'react';
import { Link } from 'wouter';
import { useNow } from '../../live/clock.ts';
import { useNode } from '../../live/fleet-store.ts';
import { clock, degrees, percent, systemName, watts } from '../../parts/format.ts';
import { MarkIcon } from '../../parts/mark.tsx';
import { MemoryBar } from '../../parts/memory-bar.tsx';
import { nodeState } from '../../parts/node-state.ts';
import { useWindow } from '../../parts/use-window.ts';

const ROW_PX = 44;
const HEADS = ['State', 'Machine', 'System', 'GPU', 'Memory', 'Load', 'Temp.', 'Power', 'Warm', 'Runs', 'Seen', 'Agent', 'Group'];
const NUMBERS = new Set(['Load', 'Temp.', 'Power', 'Warm', 'Runs']);

/** Of however many machines, only the lines that can be seen are drawn. */
export const MachineTable = ({ ids }: { ids: readonly string[] }) => {
  const box = useRef<HTMLElement>(null);
  const { rows } = useWindow(box, { count: ids.length, size: ROW_PX }, { count: 1, size: 1 });
  return (
    <section
      ref={box}
      aria-label="Machines"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard
      tabIndex={0}
      className="card max-h-[calc(100dvh-190px)] relative min-h-40 overflow-auto [contain:inline-size]"
    >
      <table className="table min-w-[1080px]" aria-rowcount={ids.length + 1}>
        <thead className="sticky top-0 z-10 bg-surface">
          <tr>
            {HEADS.map((head) => (
              <th key={head} scope="col" className={NUMBERS.has(head) ? 'number' : ''}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <Gap height={rows.from * ROW_PX} />
          {ids.slice(rows.from, rows.to).map((id, at) => (
            <Row key={id} id={id} index={rows.from + at + 2} />
          ))}
          <Gap height={(ids.length - rows.to) * ROW_PX} />
        </tbody>
      </table>
    </section>
  );
};

const Gap = ({ height }: { height: number }) =>
  height > 0 ? (
    <tr>
      <td colSpan={HEADS.length} style={{ height, padding: 0 }} />
    </tr>
  ) : null;

const Row = memo(({ id, index }: { id: string; index: number }) => {
  const node = useNode(id);
  const now = useNow();
  if (!node) return null;
  const { entry, report, lastSeenMs, liveness } = node;
  const state = nodeState(node, now);
  const [gpu] = report?.gpus ?? [];
  const isStale = liveness !== 'alive';
  return (
    <tr aria-rowindex={index} style={{ height: ROW_PX }} className={isStale ? 'text-muted' : ''}>
      <td className="whitespace-nowrap">
        <span className="flex items-center gap-1.5" title={state.detail ?? undefined}>
          <MarkIcon mark={state.mark} /> {state.word}
        </span>
      </td>
      <th scope="row" className="max-w-56">
        <Link href={`/machines/${id}`} className="block truncate font-semibold">
          {entry.name}
        </Link>
      </th>
      <td>{report ? systemName(report.os.platform) : '–'}</td>
      <td className="max-w-56 truncate">
        {gpu ? `${gpu.name}${(report?.gpus.length ?? 0) > 1 ? ` + ${(report?.gpus.length ?? 1) - 1}` : ''}` : '–'}
      </td>
      <td className="min-w-32">{gpu && report ? <MemoryBar gpu={gpu} models={report.models} isStale={isStale} /> : '–'}</td>
      <td className="number">{percent(gpu?.utilization)}</td>
      <td className="number">{degrees(gpu?.temperatureCelsius)}</td>
      <td className="number">{watts(gpu?.powerWatts)}</td>
      <td className="number">{report ? report.models.filter((model) => model.state === 'warm').length : '–'}</td>
      <td className="number">{report ? `${report.inFlight} of ${report.maxConcurrent}` : '–'}</td>
      <td className="whitespace-nowrap">
        {lastSeenMs === null ? (liveness === 'offline' ? '–' : 'now') : clock(lastSeenMs, now)}
      </td>
      <td className="whitespace-nowrap">{report?.agentVersion ?? '–'}</td>
      <td className="max-w-32 truncate">{entry.group}</td>
    </tr>
  );
});
