import { memo } from 'react';
import { useNow } from '../../live/clock.ts';
import { useNode } from '../../live/fleet-store.ts';
import { countdown } from '../../parts/format.ts';
import { Icon } from '../../parts/icon.tsx';
import { modelLook } from '../../parts/model-state.ts';
import { cellState } from './cell-state.ts';

/** A mark, a word, and the one number that matters of that state. */
export const CellContent = memo(({ nodeId, model, letter }: { nodeId: string; model: string; letter: string | undefined }) => {
  const { state, model: told, pull, isStale } = cellState(useNode(nodeId), model, letter);
  if (pull) {
    const share = pull.totalBytes ? ` ${Math.floor(((pull.completedBytes ?? 0) / pull.totalBytes) * 100)} %` : '';
    return (
      <>
        <Icon name="down" className="text-wait" /> on its way{share}
      </>
    );
  }
  if (state === null) return <span className="text-muted">–</span>;
  const { icon, word, tone } = modelLook(state);
  return (
    <>
      <Icon name={icon} className={isStale ? 'text-muted' : tone} />
      <span className={isStale || state === 'cold' ? 'text-muted' : ''}>{word}</span>
      {told?.isPinned && <Icon name="pin" className="size-3 text-muted" />}
      {told && told.inFlight > 0 ? (
        <span className="text-muted">
          {told.inFlight}/{told.slots}
        </span>
      ) : (
        told?.expiresAtMs && state === 'warm' && !told.isPinned && !isStale && <Left untilMs={told.expiresAtMs} />
      )}
      {isStale && <span className="sr-only">(as it was last)</span>}
    </>
  );
});

const Left = ({ untilMs }: { untilMs: number }) => {
  const leftMs = untilMs - useNow();
  return <span className="text-muted">{leftMs > 0 ? countdown(leftMs) : 'soon'}</span>;
};
