import type { FleetNode } from '@lai/shared/fleet-api';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../client/call.ts';
import { useNow } from '../../live/clock.ts';
import { Button } from '../../parts/button.tsx';
import { countdown, duration, gigabytes, rate } from '../../parts/format.ts';
import { Icon } from '../../parts/icon.tsx';
import { modelLook } from '../../parts/model-state.ts';
import { Empty, Loading, Problem } from '../../parts/problem.tsx';
import { ModelActions } from '../models/model-actions.tsx';

/** Everything on its disk, and how fast it was. */
export const MachineModels = ({ node }: { node: FleetNode }) => {
  const { id } = node.entry;
  const now = useNow();
  const [open, setOpen] = useState<string | null>(null);
  // What is warm comes with the feed; asked again when that changes shape.
  const shape = node.report?.models.map((model) => `${model.id} ${model.state}`).join() ?? '';
  const { data, error, refetch } = useQuery({
    queryKey: ['models', id, shape],
    queryFn: () => call('GET /api/v1/nodes/{id}', { path: { id } }),
    placeholderData: (before) => before,
  });
  if (error) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Loading height={240} />;
  if (data.models.length === 0) return <Empty>It has told of no model yet. On the Models page one can be brought to it.</Empty>;
  const live = new Map(node.report?.models.map((model) => [model.id, model]));
  return (
    <section aria-label="Models" className="card relative overflow-x-auto">
      <table className="table min-w-[720px]">
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col">State</th>
            <th scope="col" className="number">
              Size
            </th>
            <th scope="col" className="number">
              GPU memory
            </th>
            <th scope="col" className="number">
              Load time
            </th>
            <th scope="col" className="number">
              Writes
            </th>
            <th scope="col" className="number">
              Runs
            </th>
            <th scope="col">Leaves memory</th>
            <th scope="col">
              <span className="sr-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {data.models.map((stored) => {
            const model = live.get(stored.id) ?? { ...stored, state: stored.state === 'cold' ? stored.state : ('cold' as const) };
            const speed = data.speeds.find((each) => each.model === model.id);
            const { icon, word, tone } = modelLook(model.state);
            return (
              <tr key={model.id}>
                <th scope="row" className="max-w-72">
                  <span className="block truncate font-semibold">{model.id}</span>
                  <span className="small">{model.capabilities.join(' · ')}</span>
                </th>
                <td>
                  <span className="flex items-center gap-1.5">
                    <Icon name={icon} className={tone} /> {word}
                  </span>
                  {model.failure && <span className="small text-bad">{model.failure.message}</span>}
                </td>
                <td className="number">{gigabytes(model.sizeBytes)}</td>
                <td className="number">{model.vramBytes ? gigabytes(model.vramBytes) : '–'}</td>
                <td className="number">{duration(speed?.loadMs)}</td>
                <td className="number">{rate(speed?.tokensPerSecond)}</td>
                <td className="number">
                  {model.inFlight} of {model.slots}
                </td>
                <td className="whitespace-nowrap">
                  {model.isPinned
                    ? 'pinned'
                    : model.expiresAtMs !== null && model.state === 'warm'
                      ? countdown(model.expiresAtMs - now)
                      : '–'}
                </td>
                <td className="text-right">
                  <Button onClick={() => setOpen(model.id)} label={`Actions for ${model.id}`}>
                    …
                  </Button>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {open !== null && <ModelActions nodeId={id} model={open} onClose={() => setOpen(null)} />}
    </section>
  );
};
