import { useMemo } from 'react';
import { Link } from 'wouter';
import { useNow } from '../../live/clock.ts';
import { useCommands, useNodeIds, useSummary } from '../../live/fleet-store.ts';
import { AddMachineButton } from '../../parts/add-machine-link.tsx';
import { CommandRow } from '../../parts/command-row.tsx';
import { attention, fleetSentences, members } from '../../parts/fleet-sentences.ts';
import { gigabytes } from '../../parts/format.ts';
import { MarkIcon } from '../../parts/mark.tsx';
import { nodeState } from '../../parts/node-state.ts';
import { PageHead } from '../../parts/page-head.tsx';
import { Empty, Loading } from '../../parts/problem.tsx';
import { MachineCard } from '../machines/machine-card.tsx';

const MOST_CARDS = 24;
const RECENT_MS = 10 * 60_000;

/** Is it all right, who uses my GPU, what is warm: in five seconds. */
export const Overview = () => {
  const ids = useNodeIds();
  const summary = useSummary();
  return (
    <>
      <PageHead title="Overview" action={<AddMachineButton />} />
      {ids === null || summary === null ? (
        <div className="grid gap-3">
          <Loading height={50} />
          <Loading height={88} />
          <div className="machine-grid">
            <Loading height={320} />
            <Loading height={320} />
            <Loading height={320} />
          </div>
        </div>
      ) : (
        <Fleet ids={ids} />
      )}
    </>
  );
};

const Fleet = ({ ids }: { ids: readonly string[] }) => {
  const now = useNow();
  const summary = useSummary();
  const all = useMemo(() => members(summary?.nodes ?? []), [summary]);
  if (!summary) return null;
  const memberIds = ids.filter((id) => all.some(({ entry }) => entry.id === id));
  if (all.length === 0)
    return (
      <Empty action={<AddMachineButton />}>No machine has joined yet. Bring one in: it takes a line that you paste there.</Empty>
    );
  const works = all.filter((node) => nodeState(node, now).works).length;
  const gpus = all.filter(({ liveness }) => liveness !== 'offline').flatMap(({ report }) => report?.gpus ?? []);
  const sum = (of: (gpu: (typeof gpus)[number]) => number | null) => gpus.reduce((total, gpu) => total + (of(gpu) ?? 0), 0);
  const isMemoryKnown =
    gpus.length > 0 && gpus.every(({ vramTotalBytes, vramUsedBytes }) => vramTotalBytes !== null && vramUsedBytes !== null);
  const warm = new Set(
    all
      .flatMap(({ liveness, report }) => (liveness === 'alive' ? (report?.models ?? []) : []))
      .flatMap((m) => (m.state === 'warm' ? [m.id] : [])),
  );
  return (
    <div className="grid gap-3">
      <section aria-label="How the fleet is" className="card flex flex-wrap gap-x-8 gap-y-1 px-4 py-3 text-base">
        {fleetSentences(all, summary.counts, now).map(({ mark, text, nodeId }) => (
          <p key={text} className="flex items-start gap-2.5 font-semibold">
            <span className="pt-1">
              <MarkIcon mark={mark} />
            </span>
            {nodeId ? (
              <Link href={`/machines/${nodeId}`} className="text-text">
                {text}
              </Link>
            ) : (
              text
            )}
          </p>
        ))}
      </section>
      <dl className="grid grid-cols-2 gap-3 md:grid-cols-4">
        <Figure label="Machines ready" value={`${works} of ${all.length}`} />
        <Figure
          label="Requests running"
          value={String(summary.counts.running)}
          note={summary.counts.waiting > 0 ? `${summary.counts.waiting} wait` : 'none waits'}
        />
        <Figure label="Models warm" value={String(warm.size)} />
        <Figure
          label="GPU memory used"
          value={isMemoryKnown ? gigabytes(sum((gpu) => gpu.vramUsedBytes)) : '–'}
          note={isMemoryKnown ? `of ${gigabytes(sum((gpu) => gpu.vramTotalBytes))}` : 'not known of every card'}
        />
      </dl>
      <Attention />
      <section aria-label="Machines" className="machine-grid">
        {memberIds.slice(0, MOST_CARDS).map((id) => (
          <MachineCard key={id} id={id} />
        ))}
      </section>
      {memberIds.length > MOST_CARDS && (
        <p>
          <Link href="/machines">All {memberIds.length} machines</Link>
        </p>
      )}
      <Commands />
    </div>
  );
};

const Figure = ({ label, value, note }: { label: string; value: string; note?: string }) => (
  <div className="card px-4 py-3">
    <dt className="small">{label}</dt>
    <dd className="text-3xl font-semibold">{value}</dd>
    {note !== undefined && <dd className="small">{note}</dd>}
  </div>
);

const Attention = () => {
  const summary = useSummary();
  const items = attention(summary?.nodes ?? []);
  if (items.length === 0) return null;
  return (
    <section aria-label="Needs attention" className="card divide-y divide-line">
      {items.slice(0, 8).map(({ id, mark, text, nodeId }) => (
        <Link key={id} href={`/machines/${nodeId}`} className="flex items-start gap-2.5 px-4 py-2.5 text-text">
          <span className="pt-0.5">
            <MarkIcon mark={mark} />
          </span>
          {text}
        </Link>
      ))}
    </section>
  );
};

const Commands = () => {
  const now = useNow();
  const recent = useCommands().filter(({ state, updatedAtMs }) => state === 'running' || now - updatedAtMs < RECENT_MS);
  if (recent.length === 0) return null;
  return (
    <section aria-labelledby="commands">
      <h2 id="commands" className="mt-2 mb-2 text-base">
        Loads and downloads
      </h2>
      <ul className="card divide-y divide-line">
        {recent.slice(0, 8).map((command) => (
          <CommandRow key={command.commandId} command={command} />
        ))}
      </ul>
    </section>
  );
};
