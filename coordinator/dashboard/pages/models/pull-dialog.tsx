import type { ModelMatrix } from '@lai/shared/fleet-api';
import { type FormEvent, useState } from 'react';
import { begin } from '../../client/call.ts';
import { useCommands } from '../../live/fleet-store.ts';
import { Button } from '../../parts/button.tsx';
import { CommandRow } from '../../parts/command-row.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Icon } from '../../parts/icon.tsx';
import { useRefusal } from '../../parts/may.ts';
import { Problem } from '../../parts/problem.tsx';
import { useAction } from '../../parts/use-action.ts';

/** Brings a model that is not in the house onto one machine. It goes on when the page is closed. */
export const PullDialog = ({ nodes }: { nodes: ModelMatrix['nodes'] }) => {
  const [isOpen, setOpen] = useState(false);
  const refusal = useRefusal();
  const pull = useAction((id: string, model: string) =>
    begin('POST /api/v1/nodes/{id}/commands', { path: { id }, body: { type: 'model.pull', model } }),
  );
  const running = useCommands().filter(({ type, state }) => type === 'model.pull' && state === 'running');
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    void pull.run(String(form.get('node')), String(form.get('model')).trim());
  };
  return (
    <>
      <Button onClick={() => setOpen(true)} refusal={refusal}>
        <Icon name="down" /> Download a model
      </Button>
      {isOpen && (
        <Dialog
          title="Download a model"
          description="Onto the disk of one machine. It goes on when this page is closed."
          onClose={() => setOpen(false)}
        >
          <form className="grid gap-3" onSubmit={submit}>
            <label>
              <span className="small">Model, as its engine calls it</span>
              <input
                className="field"
                name="model"
                required
                maxLength={512}
                placeholder="llama3.2:3b"
                autoComplete="off"
                spellCheck={false}
              />
            </label>
            <label>
              <span className="small">Machine</span>
              <select className="field" name="node">
                {nodes.map(({ nodeId, name }) => (
                  <option key={nodeId} value={nodeId}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
            {pull.error !== null && <Problem error={pull.error} />}
            <button type="submit" className="btn btn-primary" aria-disabled={pull.isBusy}>
              Download
            </button>
          </form>
          {running.length > 0 && (
            <ul className="mt-4 divide-y divide-line rounded-md border border-line">
              {running.map((command) => (
                <CommandRow key={command.commandId} command={command} />
              ))}
            </ul>
          )}
        </Dialog>
      )}
    </>
  );
};
