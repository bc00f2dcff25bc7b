import type { ModelMatrix } from '@lai/shared/fleet-api';
import { gigabytes } from '../../parts/format.ts';
import { CellContent } from './cell.tsx';
import type { MatrixModel } from './grid.tsx';
import type { Cell } from './models.tsx';

const MOST = 200;

/** Model by model, with the machines that have it: what fits on a phone. */
export const ModelList = ({
  models,
  nodes,
  onOpen,
}: {
  models: readonly MatrixModel[];
  nodes: ModelMatrix['nodes'];
  onOpen: (cell: Cell) => void;
}) => (
  <ul className="card divide-y divide-line">
    {models.slice(0, MOST).map(({ id, at, sizeBytes, contextLength, capabilities }) => (
      <li
        key={id}
        className="flex flex-wrap items-start gap-x-6 gap-y-2 px-4 py-3 [contain-intrinsic-size:auto_72px] [content-visibility:auto]"
      >
        <div className="min-w-0 flex-1 basis-56">
          <h2 className="text-sm">{id}</h2>
          <p className="small">
            {[gigabytes(sizeBytes), contextLength ? `${contextLength} tokens of context` : null, ...capabilities]
              .filter(Boolean)
              .join(' · ')}
          </p>
        </div>
        <div className="flex flex-1 basis-72 flex-wrap gap-1.5">
          {nodes
            .filter(({ states }) => (states[at] ?? '-') !== '-')
            .map(({ nodeId, name, states }) => (
              <button
                key={nodeId}
                type="button"
                className="chip min-h-7 cursor-pointer pointer-coarse:min-h-11"
                aria-haspopup="dialog"
                onClick={() => onOpen({ nodeId, model: id })}
              >
                <span className="font-semibold">{name}</span>
                <CellContent nodeId={nodeId} model={id} letter={states[at]} />
              </button>
            ))}
        </div>
      </li>
    ))}
  </ul>
);
