import type { CommandView } from '@lai/shared/fleet-api';
import { call } from '../client/call.ts';
import { useNow } from '../live/clock.ts';
import { useNode } from '../live/fleet-store.ts';
import { Button } from './button.tsx';
import { duration, gigabytes } from './format.ts';
import { Icon } from './icon.tsx';
import { Tag } from './mark.tsx';
import { useRefusal } from './may.ts';
import type { Mark } from './node-state.ts';
import { Problem } from './problem.tsx';
import { useAction } from './use-action.ts';

const VERB = { 'model.load': 'Load', 'model.unload': 'Unload', 'model.pull': 'Download', 'model.delete': 'Delete' } as const;
const STATE: Record<CommandView['state'], { mark: Mark; word: string }> = {
  running: { mark: 'wait', word: 'under way' },
  done: { mark: 'ok', word: 'done' },
  failed: { mark: 'bad', word: 'failed' },
  canceled: { mark: 'off', word: 'canceled' },
  lost: { mark: 'off', word: 'nobody watches it any more' },
};

/** Something that a machine was told to do, however far it is, in whichever tab it was asked for. */
export const CommandRow = ({ command }: { command: CommandView }) => {
  const now = useNow();
  const node = useNode(command.nodeId);
  const refusal = useRefusal();
  const { commandId, nodeId, type, model, state, startedAtMs, updatedAtMs, startedBy } = command;
  const cancel = useAction(() =>
    call('DELETE /api/v1/nodes/{id}/commands/{command}', { path: { id: nodeId, command: commandId } }),
  );
  const isRunning = state === 'running';
  const { mark, word } = STATE[state];
  const name = node?.entry.name ?? nodeId;
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-2.5">
      <div className="min-w-0 flex-1 basis-64">
        <p className="flex items-center gap-1.5">
          <Icon
            name={type === 'model.pull' ? 'down' : type === 'model.load' ? 'flame' : 'snow'}
            className="size-3.5 text-muted"
          />
          <span className="min-w-0 truncate">
            {VERB[type]} <strong className="font-semibold">{model}</strong> on {name}
          </span>
        </p>
        <p className="small">
          {isRunning ? `${duration(now - startedAtMs)} so far` : `took ${duration(updatedAtMs - startedAtMs)}`} · by{' '}
          {startedBy.replace(/ \(.*\)$/, '')}
          {command.stage && isRunning ? ` · ${command.stage}` : ''}
        </p>
        {isRunning && <Progress command={command} label={`${VERB[type]} ${model} on ${name}`} />}
        {command.message && <p className="text-bad">{command.message}</p>}
        {cancel.error !== null && <Problem error={cancel.error} />}
      </div>
      <Tag mark={mark}>{word}</Tag>
      {isRunning && (type === 'model.load' || type === 'model.pull') && (
        <Button
          onClick={() => void cancel.run()}
          isBusy={cancel.isBusy}
          refusal={refusal}
          label={`Cancel: ${VERB[type]} ${model} on ${name}`}
        >
          Cancel
        </Button>
      )}
    </li>
  );
};

const Progress = ({ command: { completedBytes, totalBytes }, label }: { command: CommandView; label: string }) => {
  if (completedBytes === null) return null;
  return (
    <p className="small flex items-center gap-2">
      {totalBytes ? <progress className="h-2 w-40" max={totalBytes} value={completedBytes} aria-label={label} /> : null}
      {gigabytes(completedBytes)}
      {totalBytes ? ` of ${gigabytes(totalBytes)} · ${Math.floor((completedBytes / totalBytes) * 100)} %` : ''}
    </p>
  );
};
