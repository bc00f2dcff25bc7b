// biome-ignore-all lint/a11y/useSemanticElements: a table cannot be drawn in part; the roles are those of the ARIA grid pattern
// biome-ignore-all lint/a11y/useFocusableInteractive: in a grid one cell alone is a tab stop
// biome-ignore-all lint/a11y/useKeyWithClickEvents: the grid hears the keys for its cells
import type { ModelMatrix } from '@lai/shared/fleet-api';
import { type KeyboardEvent, memo, useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import { useNode } from '../../live/fleet-store.ts';
import { gigabytes } from '../../parts/format.ts';
import { useWindow } from '../../parts/use-window.ts';
import { CellContent } from './cell.tsx';
import type { Cell } from './models.tsx';
import { move } from './move.ts';

const [ROW, COLUMN, SIDE, HEAD] = [48, 164, 232, 52];

export type MatrixModel = ModelMatrix['models'][number] & { readonly at: number };
type MatrixNode = ModelMatrix['nodes'][number];

interface GridProps {
  readonly models: readonly MatrixModel[];
  readonly nodes: readonly MatrixNode[];
  readonly rowsAre: 'model' | 'node';
  readonly onOpen: (cell: Cell) => void;
}

/** Models × machines. One tab stop; arrows move, Enter opens. Only what can be seen is drawn, however many there are. */
export const Grid = ({ models, nodes, rowsAre, onOpen }: GridProps) => {
  const box = useRef<HTMLDivElement>(null);
  const isByModel = rowsAre === 'model';
  const [rowCount, columnCount] = isByModel ? [models.length, nodes.length] : [nodes.length, models.length];
  const { rows, columns } = useWindow(box, { count: rowCount, size: ROW }, { count: columnCount, size: COLUMN });
  const [place, setPlace] = useState({ row: 0, column: 0 });
  const active = { row: Math.min(place.row, rowCount - 1), column: Math.min(place.column, columnCount - 1) };
  const wantsFocus = useRef(false);
  const isSeen = active.row >= rows.from && active.row < rows.to && active.column >= columns.from && active.column < columns.to;

  useEffect(() => {
    if (!wantsFocus.current) return;
    const cell = box.current?.querySelector<HTMLElement>(`[data-cell="${active.row}/${active.column}"]`);
    if (cell) {
      wantsFocus.current = false;
      cell.focus({ preventScroll: true });
    }
  });

  const at = (row: number, column: number): { model: MatrixModel; node: MatrixNode } | null => {
    const [model, node] = isByModel ? [models[row], nodes[column]] : [models[column], nodes[row]];
    return model && node ? { model, node } : null;
  };
  const open = (row: number, column: number) => {
    const found = at(row, column);
    if (found) onOpen({ nodeId: found.node.nodeId, model: found.model.id });
  };
  const go = (row: number, column: number) => {
    wantsFocus.current = true;
    setPlace({ row, column });
    const element = box.current;
    if (!element) return;
    const [top, left] = [row * ROW, column * COLUMN];
    const [height, width] = [element.clientHeight - HEAD, element.clientWidth - SIDE];
    if (top < element.scrollTop) element.scrollTop = top;
    if (top + ROW > element.scrollTop + height) element.scrollTop = top + ROW - height;
    if (left < element.scrollLeft) element.scrollLeft = left;
    if (left + COLUMN > element.scrollLeft + width) element.scrollLeft = left + COLUMN - width;
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      return open(active.row, active.column);
    }
    const next = move(active, event, { rows: rowCount, columns: columnCount });
    if (!next) return;
    event.preventDefault();
    go(next.row, next.column);
  };

  const drawn = range(columns.from, columns.to);
  return (
    <div
      ref={box}
      role="grid"
      aria-label="Models by machine. Arrow keys move, Enter shows what can be done."
      aria-rowcount={rowCount + 1}
      aria-colcount={columnCount + 1}
      tabIndex={isSeen ? -1 : 0}
      onKeyDown={press}
      className="card relative max-h-[calc(100dvh-200px)] w-fit max-w-full overflow-auto"
    >
      <div className="relative" style={{ width: SIDE + columnCount * COLUMN, height: HEAD + rowCount * ROW }}>
        <div role="row" aria-rowindex={1} className="sticky top-0 z-20 border-line border-b bg-surface" style={{ height: HEAD }}>
          <div
            role="columnheader"
            aria-colindex={1}
            className="sticky left-0 z-10 flex h-full items-center bg-surface px-3 text-muted text-xs"
            style={{ width: SIDE }}
          >
            {isByModel ? 'Model' : 'Machine'}
          </div>
          {drawn.map((column) => {
            const found = at(0, column);
            return (
              found && (
                <div
                  key={column}
                  role="columnheader"
                  aria-colindex={column + 2}
                  className="absolute top-0 flex h-full flex-col justify-center px-3"
                  style={{ left: SIDE + column * COLUMN, width: COLUMN }}
                >
                  {isByModel ? <NodeHead node={found.node} /> : <ModelHead model={found.model} />}
                </div>
              )
            );
          })}
        </div>
        {range(rows.from, rows.to).map((row) => {
          const first = at(row, 0);
          return (
            first && (
              <div
                key={isByModel ? first.model.id : first.node.nodeId}
                role="row"
                aria-rowindex={row + 2}
                className="absolute left-0 w-full border-line border-b"
                style={{ top: HEAD + row * ROW, height: ROW }}
              >
                <div
                  role="rowheader"
                  aria-colindex={1}
                  className="sticky left-0 z-10 flex h-full flex-col justify-center border-line border-r bg-surface px-3"
                  style={{ width: SIDE }}
                >
                  {isByModel ? <ModelHead model={first.model} /> : <NodeHead node={first.node} />}
                </div>
                {drawn.map((column) => {
                  const found = at(row, column);
                  const isActive = row === active.row && column === active.column;
                  return (
                    found && (
                      <div
                        key={column}
                        role="gridcell"
                        aria-colindex={column + 2}
                        data-cell={`${row}/${column}`}
                        tabIndex={isActive ? 0 : -1}
                        onFocus={() => isActive || setPlace({ row, column })}
                        onClick={() => open(row, column)}
                        className="absolute top-0 flex h-full cursor-pointer items-center gap-1.5 px-3 hover:bg-canvas focus-visible:outline-offset-[-3px]"
                        style={{ left: SIDE + column * COLUMN, width: COLUMN }}
                      >
                        <CellContent
                          nodeId={found.node.nodeId}
                          model={found.model.id}
                          letter={found.node.states[found.model.at]}
                        />
                      </div>
                    )
                  );
                })}
              </div>
            )
          );
        })}
      </div>
    </div>
  );
};

const range = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);

const ModelHead = ({ model }: { model: MatrixModel }) => (
  <>
    <span className="truncate font-semibold" title={model.id}>
      {model.id}
    </span>
    <span className="small truncate">
      {[gigabytes(model.sizeBytes), ...model.capabilities.filter((each) => each !== 'completion')].join(' · ')}
    </span>
  </>
);

const NodeHead = memo(({ node: { nodeId, name } }: { node: MatrixNode }) => {
  const node = useNode(nodeId);
  const gpus = node?.report?.gpus ?? [];
  const isKnown = gpus.length > 0 && gpus.every(({ vramFreeBytes }) => vramFreeBytes !== null);
  const free = gpus.reduce((bytes, gpu) => bytes + (gpu.vramFreeBytes ?? 0), 0);
  const note = node?.liveness === 'offline' ? 'away' : isKnown ? `${gigabytes(free)} free` : 'free memory not known';
  return (
    <>
      <Link href={`/machines/${nodeId}`} tabIndex={-1} className="truncate font-semibold text-text">
        {node?.entry.name ?? name}
      </Link>
      <span className="small truncate">{note}</span>
    </>
  );
});
