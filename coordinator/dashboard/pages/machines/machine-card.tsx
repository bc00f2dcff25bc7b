import type { FleetNode } from '@lai/shared/fleet-api';
import { memo } from 'react';
import { Link } from 'wouter';
import { useNow } from '../../live/clock.ts';
import { useNode } from '../../live/fleet-store.ts';
import { degrees, gigabytes, percent, plural, systemName, usage, watts } from '../../parts/format.ts';
import { GamingControl } from '../../parts/gaming-control.tsx';
import { Icon } from '../../parts/icon.tsx';
import { MarkIcon, Simulated, Tag } from '../../parts/mark.tsx';
import { MemoryBar, otherBytes } from '../../parts/memory-bar.tsx';
import { ModelChip } from '../../parts/model-chip.tsx';
import { nodeState } from '../../parts/node-state.ts';

/** One machine: state, memory, who uses it, what is warm, and its owner's switch. */
export const MachineCard = memo(({ id }: { id: string }) => {
  const node = useNode(id);
  return node ? <Card node={node} /> : null;
});

const Card = ({ node }: { node: FleetNode }) => {
  const now = useNow();
  const { entry, report, liveness } = node;
  const state = nodeState(node, now);
  const isStale = liveness !== 'alive';
  const isSimulated = report?.runtimes.some((runtime) => runtime.isSimulated) ?? false;
  return (
    <article aria-label={entry.name} className="card flex min-h-[248px] flex-col gap-3 p-4">
      <header className="flex flex-wrap items-start gap-x-3 gap-y-2">
        <div className="min-w-0 flex-1">
          <h2 className="flex items-center gap-2 text-base leading-6">
            <MarkIcon mark={state.mark} />
            <Link href={`/machines/${entry.id}`} className="truncate text-text">
              {entry.name}
            </Link>
          </h2>
          <p className="small flex flex-wrap items-center gap-x-1.5 gap-y-1">
            <span>{[report ? systemName(report.os.platform) : null, entry.group].filter(Boolean).join(' · ')}</span>
            {isSimulated && <Simulated />}
          </p>
        </div>
        {state.mark === 'ok' ? null : <Tag mark={state.mark}>{state.word}</Tag>}
      </header>
      {report ? <Gpus node={node} isStale={isStale} /> : <p className="text-muted">{firstWords(node)}</p>}
      {report && (
        <Users node={node} detail={state.mark === 'ok' || state.mark === 'game' ? null : state.detail} isStale={isStale} />
      )}
      {report && (
        <p className="flex flex-wrap gap-1.5">
          {report.models.map((model, at) => (
            <ModelChip key={model.id} model={model} at={at} isStale={isStale} />
          ))}
          <span className="chip border-transparent text-muted">
            <Icon name="snow" className="size-3" />
            {report.models.length === 0 ? `nothing in memory, ${report.coldCount} on disk` : `${report.coldCount} more on disk`}
          </span>
        </p>
      )}
      <footer className="mt-auto flex flex-wrap items-end justify-between gap-x-4 gap-y-2 border-line border-t pt-3">
        <GamingControl node={node} />
        {report && <span className="small">agent {report.agentVersion}</span>}
      </footer>
    </article>
  );
};

const firstWords = ({ entry }: FleetNode): string =>
  entry.state === 'pending'
    ? `It waits for approval. Its fingerprint: ${entry.fingerprint}`
    : 'It has enrolled, and has not told yet what it can do.';

const Gpus = ({ node, isStale }: { node: FleetNode; isStale: boolean }) => {
  const { gpus = [], models = [] } = node.report ?? {};
  if (gpus.length === 0) return <p className="text-muted">No GPU: its models run on the processor.</p>;
  const sum = (of: (gpu: (typeof gpus)[number]) => number | null): number | null =>
    gpus.some((gpu) => of(gpu) === null) ? null : gpus.reduce((total, gpu) => total + (of(gpu) ?? 0), 0);
  const [used, total, free] = [sum((g) => g.vramUsedBytes), sum((g) => g.vramTotalBytes), sum((g) => g.vramFreeBytes)];
  return (
    <div className={isStale ? 'text-muted' : ''}>
      {gpus.map((gpu) => (
        <p key={gpu.id} className="flex justify-between gap-x-3">
          <span className="min-w-0 truncate" title={gpu.name}>
            {gpu.name}
            {gpu.isUnifiedMemory ? ' (shared memory)' : ''}
          </span>
          <span className="shrink-0 text-muted">
            {percent(gpu.utilization)} · {degrees(gpu.temperatureCelsius)} · {watts(gpu.powerWatts)}
          </span>
        </p>
      ))}
      <div className="my-1.5">
        <MemoryBar gpu={{ vramTotalBytes: total, vramUsedBytes: used }} models={models} isStale={isStale} />
      </div>
      <p className="small">{usage(used, total, free)}</p>
    </div>
  );
};

/** Who uses it: our requests, other programs, and why it rests. */
const Users = ({ node, detail, isStale }: { node: FleetNode; detail: string | null; isStale: boolean }) => {
  const { inFlight = 0, maxConcurrent = 0, models = [], gpus = [] } = node.report ?? {};
  const other = otherBytes(gpus, models);
  const pulls = node.report?.pulls ?? [];
  const requests =
    inFlight === 0 ? 'No request runs here' : `${plural(inFlight, 'request')} ${inFlight === 1 ? 'runs' : 'run'} here`;
  return (
    <div className={isStale ? 'text-muted' : ''}>
      {detail && <p>{detail}</p>}
      <p>
        {isStale ? 'It was last seen with ' : ''}
        {isStale ? plural(inFlight, 'request') : requests}
        <span className="text-muted"> · {maxConcurrent} at most</span>
        {other !== null && other > 0 && <span className="text-muted"> · other programs {gigabytes(other)}</span>}
      </p>
      {pulls.map((pull) => (
        <p key={`${pull.runtime} ${pull.model}`} className="flex items-center gap-1.5">
          <Icon name="down" className="size-3.5 text-wait" />
          {pull.model} is on its way
          {pull.totalBytes ? `: ${Math.floor(((pull.completedBytes ?? 0) / pull.totalBytes) * 100)} %` : ''}
        </p>
      ))}
    </div>
  );
};
