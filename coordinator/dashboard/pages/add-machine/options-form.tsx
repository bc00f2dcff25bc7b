import type { TokenView } from '@lai/shared/admin-api';
import type { FormEvent } from 'react';

export interface JoinOptions {
  readonly group?: string;
  readonly needsApproval?: boolean;
  readonly ttlSeconds?: number;
  readonly isForUser?: boolean;
}

/** What else can be said of whoever comes; another choice makes another token. */
export const OptionsForm = ({
  token,
  isBusy,
  onChange,
}: {
  token: TokenView;
  isBusy: boolean;
  onChange: (options: JoinOptions) => void;
}) => {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    onChange({
      group: String(form.get('group')).trim() || 'default',
      needsApproval: form.has('needsApproval'),
      ttlSeconds: Number(form.get('ttl')),
    });
  };
  return (
    <details className="mt-2">
      <summary className="small cursor-pointer py-1">Options: group {token.group}, one machine, an hour</summary>
      <form className="mt-2 grid gap-3 md:grid-cols-2" onSubmit={submit}>
        <label>
          <span className="small">Group</span>
          <input className="field" name="group" defaultValue={token.group} maxLength={32} pattern="[a-z0-9][a-z0-9\-]*" />
        </label>
        <label>
          <span className="small">Works for</span>
          <select className="field" name="ttl" defaultValue="3600">
            <option value="900">15 minutes</option>
            <option value="3600">1 hour</option>
            <option value="86400">1 day</option>
          </select>
        </label>
        <label className="flex items-center gap-2">
          <input type="checkbox" name="needsApproval" defaultChecked={token.needsApproval} className="size-4" />
          Who comes with it must be approved
        </label>
        <button type="submit" className="btn" aria-disabled={isBusy}>
          Make such a line
        </button>
      </form>
    </details>
  );
};
