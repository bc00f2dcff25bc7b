import type { LoadedModel } from '@lai/shared/node';
import { useNow } from '../live/clock.ts';
import { countdown } from './format.ts';
import { Icon, type IconName } from './icon.tsx';
import { seriesOf } from './memory-bar.tsx';
import { modelLook } from './model-state.ts';

/** A model that is in memory, or on its way: in the colour that it has in the memory bar. */
export const ModelChip = ({ model, at, isStale }: { model: LoadedModel; at: number; isStale: boolean }) => {
  const { icon, word, tone } = modelLook(model.state);
  return (
    <span className="chip" title={model.failure?.message}>
      <span className="size-2 shrink-0 rounded-[2px]" style={{ background: seriesOf(at) }} />
      <Icon name={icon satisfies IconName} className={`size-3 ${tone}`} />
      <span className="truncate">{model.id}</span>
      <span className="sr-only">{word}</span>
      {model.state !== 'warm' && <span className="text-muted">{word}</span>}
      {model.inFlight > 0 && (
        <span className="text-muted" title="requests that run on it, of so many slots">
          {model.inFlight}/{model.slots}
        </span>
      )}
      {model.isPinned ? (
        <>
          <Icon name="pin" className="size-3 text-muted" />
          <span className="sr-only">pinned</span>
        </>
      ) : (
        model.expiresAtMs !== null && model.state === 'warm' && !isStale && <Expiry atMs={model.expiresAtMs} />
      )}
    </span>
  );
};

const Expiry = ({ atMs }: { atMs: number }) => {
  const leftMs = atMs - useNow();
  return (
    <span className="text-muted" title="when it is unloaded if nobody asks for it">
      {leftMs > 0 ? countdown(leftMs) : 'soon'}
    </span>
  );
};
