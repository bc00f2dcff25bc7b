import type { FormEvent } from 'react';
import { call } from '../client/call.ts';
import { Dialog } from './dialog.tsx';
import { Problem } from './problem.tsx';
import { useAction } from './use-action.ts';

/** Over the page, so that nothing that was typed is lost. */
export const SignInAgain = ({ name, onDone }: { name: string; onDone: () => void }) => {
  const signIn = useAction((body: { name: string; password: string }) => call('POST /api/v1/session', { body }));
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const body = { name: String(form.get('name')).trim().toLowerCase(), password: String(form.get('password')) };
    if (await signIn.run(body)) onDone();
  };
  return (
    <Dialog
      title="You are signed out"
      description="Your session has ended. Sign in again to go on where you were."
      onClose={() => location.assign('/sign-in')}
    >
      <form className="grid gap-3" onSubmit={(event) => void submit(event)}>
        <label>
          <span className="small">Name</span>
          <input
            className="field"
            name="name"
            defaultValue={name}
            required
            maxLength={64}
            autoComplete="username"
            autoCapitalize="none"
          />
        </label>
        <label>
          <span className="small">Password</span>
          <input className="field" name="password" type="password" required maxLength={256} autoComplete="current-password" />
        </label>
        {signIn.error !== null && <Problem error={signIn.error} />}
        <button type="submit" className="btn btn-primary" aria-disabled={signIn.isBusy}>
          Sign in
        </button>
      </form>
    </Dialog>
  );
};
