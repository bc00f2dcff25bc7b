import type { NodeCommand } from '@lai/shared/admin-api';
import { withoutLatest } from '@lai/shared/model-name';
import { estimatedNeedBytes } from '@lai/shared/model-need';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { begin, call } from '../../client/call.ts';
import { useCommands, useNode } from '../../live/fleet-store.ts';
import { Button } from '../../parts/button.tsx';
import { CommandRow } from '../../parts/command-row.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { duration, gigabytes, plural, rate } from '../../parts/format.ts';
import { Icon } from '../../parts/icon.tsx';
import { useRefusal } from '../../parts/may.ts';
import { modelLook } from '../../parts/model-state.ts';
import { Problem } from '../../parts/problem.tsx';
import { useAction } from '../../parts/use-action.ts';
import { cellState } from './cell-state.ts';

/** What can be done about one model on one machine, and what it would cost. */
export const ModelActions = ({ nodeId, model, onClose }: { nodeId: string; model: string; onClose: () => void }) => {
  const id = withoutLatest(model);
  const node = useNode(nodeId);
  const general = useRefusal();
  const [confirming, setConfirming] = useState<NodeCommand['type'] | null>(null);
  const matrix = useQuery({ queryKey: ['models', 'matrix'], queryFn: () => call('GET /api/v1/models/matrix') });
  const detail = useQuery({
    queryKey: ['models', nodeId, 'detail'],
    queryFn: () => call('GET /api/v1/nodes/{id}', { path: { id: nodeId } }),
  });
  const command = useAction((type: NodeCommand['type']) =>
    begin('POST /api/v1/nodes/{id}/commands', { path: { id: nodeId }, body: { type, model } satisfies NodeCommand }),
  );
  const pin = useAction((pinnedModels: string[]) =>
    call('PATCH /api/v1/nodes/{id}', { path: { id: nodeId }, body: { pinnedModels } }),
  );
  const recent = useCommands().filter((each) => each.nodeId === nodeId && withoutLatest(each.model) === id);
  const at = matrix.data?.models.findIndex((each) => each.id === id) ?? -1;
  const letter = matrix.data?.nodes.find((each) => each.nodeId === nodeId)?.states[at];
  const { state, model: told, pull } = cellState(node, id, letter);
  const stored = told ?? detail.data?.models.find((each) => withoutLatest(each.id) === id) ?? null;
  const speed = detail.data?.speeds.find((each) => withoutLatest(each.model) === id);
  const copies = matrix.data?.nodes.filter(({ states }) => (states[at] ?? '-') !== '-').length ?? 0;
  const name = node?.entry.name ?? 'this machine';
  const refusal = general ?? (node?.liveness === 'alive' ? null : `${name} is away: it cannot be asked now.`);
  const pinned = node?.entry.desired.pinnedModels ?? [];
  const isPinWanted = pinned.some((each) => withoutLatest(each) === id);
  const look = state ? modelLook(state) : null;

  const run = (type: NodeCommand['type']) => {
    setConfirming(null);
    void command.run(type);
  };
  const words = facts([
    stored && `${gigabytes(stored.sizeBytes)} on disk`,
    told?.vramBytes ? `${gigabytes(told.vramBytes)} of GPU memory` : null,
    told ? `${told.inFlight} of ${plural(told.slots, 'slot')} in use` : null,
    speed?.loadMs ? `loads in about ${duration(speed.loadMs)}` : null,
    speed?.tokensPerSecond ? `writes ${rate(speed.tokensPerSecond)}` : null,
  ]);
  return (
    <Dialog title={`${id} on ${name}`} description={words} onClose={onClose} isWide>
      <p className="mb-3 flex flex-wrap items-center gap-2 text-base">
        {look ? <Icon name={look.icon} className={look.tone} /> : <Icon name="off" className="text-off" />}
        {look ? look.word : 'This machine does not have it.'}
        {told?.isPinned && <span className="text-muted">· pinned</span>}
        {isPinWanted !== (told?.isPinned ?? false) && told && (
          <span className="text-wait">· {isPinWanted ? 'to be pinned' : 'to be let go'}</span>
        )}
      </p>
      {told?.failure && <p className="mb-3 rounded-md bg-bad-soft px-3 py-2 text-bad">{told.failure.message}</p>}
      {(state === 'cold' || state === 'failed') && stored && <Fit needBytes={estimatedNeedBytes(stored)} nodeId={nodeId} />}
      {command.error !== null && <Problem error={command.error} />}
      {pin.error !== null && <Problem error={pin.error} />}
      {confirming ? (
        <div className="mt-3">
          <p className="mb-3">
            {confirming === 'model.delete'
              ? deletion(stored?.sizeBytes ?? null, copies, name)
              : `${plural(told?.inFlight ?? 0, 'request')} ${told?.inFlight === 1 ? 'uses' : 'use'} it now. They may end first; then it leaves memory.`}
          </p>
          <div className="flex justify-end gap-2">
            <Button onClick={() => setConfirming(null)}>Not now</Button>
            <Button kind="bad" onClick={() => run(confirming)} refusal={refusal}>
              {confirming === 'model.delete' ? `Delete from ${name}` : 'Unload all the same'}
            </Button>
          </div>
        </div>
      ) : (
        <div className="mt-3 flex flex-wrap gap-2">
          {(state === 'cold' || state === 'failed') && (
            <Button kind="primary" onClick={() => run('model.load')} isBusy={command.isBusy} refusal={refusal}>
              <Icon name="flame" /> Load
            </Button>
          )}
          {state === 'warm' && (
            <Button
              onClick={() => (told?.inFlight ? setConfirming('model.unload') : run('model.unload'))}
              isBusy={command.isBusy}
              refusal={refusal}
            >
              <Icon name="snow" /> Unload
            </Button>
          )}
          {state !== null && (
            <Button
              onClick={() => void pin.run(isPinWanted ? pinned.filter((each) => withoutLatest(each) !== id) : [...pinned, model])}
              isBusy={pin.isBusy}
              refusal={general}
            >
              <Icon name="pin" /> {isPinWanted ? 'Let it go when idle' : 'Keep in memory'}
            </Button>
          )}
          {state === null && !pull && (
            <Button kind="primary" onClick={() => run('model.pull')} isBusy={command.isBusy} refusal={refusal}>
              <Icon name="down" /> Download it here
            </Button>
          )}
          {(state === 'cold' || state === 'failed') && (
            <Button kind="bad" onClick={() => setConfirming('model.delete')} refusal={refusal}>
              Delete from disk
            </Button>
          )}
        </div>
      )}
      {recent.length > 0 && (
        <ul className="mt-4 divide-y divide-line rounded-md border border-line">
          {recent.slice(0, 3).map((each) => (
            <CommandRow key={each.commandId} command={each} />
          ))}
        </ul>
      )}
    </Dialog>
  );
};

const facts = (words: readonly (string | null)[]): string => words.filter((word) => word !== null).join(' · ');

const deletion = (sizeBytes: number | null, copies: number, name: string): string =>
  `${sizeBytes === null ? 'It' : gigabytes(sizeBytes)} ${sizeBytes === null ? 'is' : 'are'} deleted from the disk of ${name}. ${copies <= 1 ? 'This is the last copy in the house.' : `${plural(copies - 1, 'other machine')} still ${copies === 2 ? 'has' : 'have'} it.`}`;

const Fit = ({ needBytes, nodeId }: { needBytes: number | null; nodeId: string }) => {
  const gpus = useNode(nodeId)?.report?.gpus ?? [];
  if (needBytes === null || gpus.length === 0 || gpus.some(({ vramFreeBytes }) => vramFreeBytes === null)) return null;
  const free = gpus.reduce((bytes, gpu) => bytes + (gpu.vramFreeBytes ?? 0), 0);
  const total = gpus.reduce((bytes, gpu) => bytes + (gpu.vramTotalBytes ?? 0), 0);
  const words =
    needBytes > total
      ? `That is more than the whole card has (${gigabytes(total)}).`
      : needBytes > free
        ? 'Others leave memory for it, or the load fails and says why.'
        : 'It fits beside what is there.';
  return (
    <p className="text-muted">
      A load needs about {gigabytes(needBytes)}, {gigabytes(free)} are free. {words}
    </p>
  );
};
