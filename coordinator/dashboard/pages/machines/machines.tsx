import { useDeferredValue, useMemo } from 'react';
import { Link, useLocation, useSearch } from 'wouter';
import { useNow } from '../../live/clock.ts';
import { useNodeIds, useSummary } from '../../live/fleet-store.ts';
import { AddMachineButton } from '../../parts/add-machine-link.tsx';
import { plural } from '../../parts/format.ts';
import { nodeState } from '../../parts/node-state.ts';
import { PageHead } from '../../parts/page-head.tsx';
import { Empty, Loading } from '../../parts/problem.tsx';
import { MachineCard } from './machine-card.tsx';
import { MachineTable } from './machine-table.tsx';

const MOST_CARDS = 12;

/** All machines, as cards or as a table; those that need something first. */
const Machines = () => {
  const ids = useNodeIds();
  return (
    <>
      <PageHead title="Machines" action={<AddMachineButton />} />
      {ids === null ? (
        <Loading height={420} />
      ) : ids.length === 0 ? (
        <Empty action={<AddMachineButton />}>
          No machine has joined yet. Bring one in: it takes a line that you paste there.
        </Empty>
      ) : (
        <List ids={ids} />
      )}
    </>
  );
};

const List = ({ ids }: { ids: readonly string[] }) => {
  const now = useNow();
  const summary = useSummary();
  const [location, navigate] = useLocation();
  const query = new URLSearchParams(useSearch());
  const text = query.get('q') ?? '';
  const wanted = useDeferredValue(text.toLowerCase());
  const view = query.get('view') ?? (ids.length > MOST_CARDS ? 'table' : 'cards');
  const address = (changes: Record<string, string | null>): string => {
    const next = new URLSearchParams(query);
    for (const [key, value] of Object.entries(changes)) value ? next.set(key, value) : next.delete(key);
    return `${location}${next.size > 0 ? `?${next}` : ''}`;
  };
  const found = useMemo(() => {
    const nodes = (summary?.nodes ?? []).filter(({ entry, report }) =>
      [entry.name, entry.group, ...(report?.gpus ?? []).map((gpu) => gpu.name)].join(' ').toLowerCase().includes(wanted),
    );
    // Who knocks comes first.
    return [...nodes.filter(({ entry }) => entry.state === 'pending'), ...nodes.filter(({ entry }) => entry.state !== 'pending')];
  }, [summary, wanted]);
  const works = found.filter((node) => nodeState(node, now).works).length;
  return (
    <div className="grid min-w-0 gap-3">
      <div className="flex flex-wrap items-center gap-3">
        <input
          type="search"
          className="field max-w-xs"
          aria-label="Filter machines by name, group or GPU"
          placeholder="Filter"
          defaultValue={text}
          onChange={(event) => navigate(address({ q: event.target.value || null }), { replace: true })}
        />
        <p className="text-muted" role="status">
          {plural(found.length, 'machine')}, {works} {works === 1 ? 'takes' : 'take'} work
        </p>
        <nav aria-label="View" className="ml-auto flex gap-1">
          {(['cards', 'table'] as const).map((each) => (
            <Link
              key={each}
              href={address({ view: each })}
              aria-current={view === each ? 'true' : undefined}
              className={`btn ${view === each ? 'bg-accent-soft font-semibold' : ''}`}
            >
              {each === 'cards' ? 'Cards' : 'Table'}
            </Link>
          ))}
        </nav>
      </div>
      {found.length === 0 ? (
        <p className="card px-4 py-8 text-center text-muted">No machine fits “{text}”.</p>
      ) : view === 'cards' ? (
        <section aria-label="Machines" className="machine-grid">
          {found.slice(0, 60).map(({ entry }) => (
            <MachineCard key={entry.id} id={entry.id} />
          ))}
        </section>
      ) : (
        <MachineTable ids={found.map(({ entry }) => entry.id)} />
      )}
    </div>
  );
};

export default Machines;
