import type { ModelMatrix } from '@lai/shared/fleet-api';
import { useQuery } from '@tanstack/react-query';
import { useState, useSyncExternalStore } from 'react';
import { Link, useLocation, useSearch } from 'wouter';
import { call } from '../../client/call.ts';
import { AddMachineButton } from '../../parts/add-machine-link.tsx';
import { plural } from '../../parts/format.ts';
import { PageHead } from '../../parts/page-head.tsx';
import { Empty, Loading, Problem } from '../../parts/problem.tsx';
import { Grid } from './grid.tsx';
import { ModelActions } from './model-actions.tsx';
import { ModelList } from './model-list.tsx';
import { PullDialog } from './pull-dialog.tsx';

const narrow = window.matchMedia('(max-width: 767px)');
const useIsNarrow = (): boolean =>
  useSyncExternalStore(
    (listener) => {
      narrow.addEventListener('change', listener);
      return () => narrow.removeEventListener('change', listener);
    },
    () => narrow.matches,
  );

export interface Cell {
  readonly nodeId: string;
  readonly model: string;
}

/** Which model is where, and what may be done about it. */
const Models = () => {
  const { data, error, refetch } = useQuery({
    queryKey: ['models', 'matrix'],
    queryFn: () => call('GET /api/v1/models/matrix'),
  });
  return (
    <>
      <PageHead title="Models" action={data && data.nodes.length > 0 ? <PullDialog nodes={data.nodes} /> : undefined} />
      {error ? (
        <Problem error={error} retry={() => void refetch()} />
      ) : !data ? (
        <Loading height={480} />
      ) : data.nodes.length === 0 ? (
        <Empty action={<AddMachineButton />}>No machine has told of its models yet. Bring a machine in first.</Empty>
      ) : (
        <Matrix matrix={data} />
      )}
    </>
  );
};

const Matrix = ({ matrix }: { matrix: ModelMatrix }) => {
  const [open, setOpen] = useState<Cell | null>(null);
  const [location, navigate] = useLocation();
  const query = new URLSearchParams(useSearch());
  const isNarrow = useIsNarrow();
  const text = query.get('q') ?? '';
  const view = query.get('view') ?? (isNarrow ? 'list' : 'grid');
  const rows = query.get('by') ?? (matrix.nodes.length > matrix.models.length ? 'node' : 'model');
  const address = (changes: Record<string, string | null>): string => {
    const next = new URLSearchParams(query);
    for (const [key, value] of Object.entries(changes)) value ? next.set(key, value) : next.delete(key);
    return `${location}${next.size > 0 ? `?${next}` : ''}`;
  };
  const models = matrix.models
    .map((model, at) => ({ ...model, at }))
    .filter(({ id }) => id.toLowerCase().includes(text.toLowerCase()));
  const choices = [
    { view: 'list', by: null, word: 'List' },
    { view: 'grid', by: 'model', word: 'Grid by model' },
    { view: 'grid', by: 'node', word: 'Grid by machine' },
  ];
  return (
    <div className="grid min-w-0 gap-3">
      <div className="flex flex-wrap items-center gap-3">
        <input
          type="search"
          className="field max-w-xs"
          aria-label="Filter models by name"
          placeholder="Filter"
          defaultValue={text}
          onChange={(event) => navigate(address({ q: event.target.value || null }), { replace: true })}
        />
        <p className="text-muted" role="status">
          {plural(models.length, 'model')} on {plural(matrix.nodes.length, 'machine')}
        </p>
        <nav aria-label="View" className="flex flex-wrap gap-1 md:ml-auto">
          {choices.map((choice) => {
            const isHere = view === choice.view && (choice.by === null || choice.by === rows);
            return (
              <Link
                key={choice.word}
                href={address({ view: choice.view, by: choice.by })}
                aria-current={isHere ? 'true' : undefined}
                className={`btn ${isHere ? 'bg-accent-soft font-semibold' : ''}`}
              >
                {choice.word}
              </Link>
            );
          })}
        </nav>
      </div>
      {models.length === 0 ? (
        <p className="card px-4 py-8 text-center text-muted">
          {text ? `No model fits “${text}”.` : 'No machine has a model yet.'}
        </p>
      ) : view === 'list' ? (
        <ModelList models={models} nodes={matrix.nodes} onOpen={setOpen} />
      ) : (
        <Grid models={models} nodes={matrix.nodes} rowsAre={rows === 'node' ? 'node' : 'model'} onOpen={setOpen} />
      )}
      {open && <ModelActions nodeId={open.nodeId} model={open.model} onClose={() => setOpen(null)} />}
    </div>
  );
};

export default Models;
