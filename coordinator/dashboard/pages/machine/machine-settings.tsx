import type { NodeChange } from '@lai/shared/admin-api';
import type { FleetNode } from '@lai/shared/fleet-api';
import { type FormEvent, useState } from 'react';
import { useLocation } from 'wouter';
import { call } from '../../client/call.ts';
import { useNow } from '../../live/clock.ts';
import { Button } from '../../parts/button.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { clock } from '../../parts/format.ts';
import { useRefusal } from '../../parts/may.ts';
import { Problem } from '../../parts/problem.tsx';
import { useAction } from '../../parts/use-action.ts';

/** What operators want of it, beside what it does. */
export const MachineSettings = ({ node }: { node: FleetNode }) => {
  const { entry, report } = node;
  const now = useNow();
  const refusal = useRefusal();
  const change = useAction((body: NodeChange) => call('PATCH /api/v1/nodes/{id}', { path: { id: entry.id }, body }));
  const isResting = report?.holds.some(({ kind }) => kind === 'draining') ?? false;
  const wanted = entry.desired.isDraining;
  return (
    <div className="grid max-w-3xl gap-3">
      {change.error !== null && <Problem error={change.error} />}
      <NameForm key={`${entry.name} ${entry.group}`} node={node} save={change.run} isBusy={change.isBusy} refusal={refusal} />
      <section className="card flex flex-wrap items-center gap-x-4 gap-y-2 p-4" aria-label="Rest">
        <div className="min-w-0 flex-1 basis-64">
          <h2 className="text-sm">Rest</h2>
          <p className="text-muted">
            {wanted ? 'You want it to rest: no new work, what runs may end.' : 'You want it to take work.'}{' '}
            {wanted === isResting
              ? isResting
                ? 'It rests.'
                : ''
              : isResting
                ? 'It still rests, for another reason or not yet told.'
                : 'It does not rest yet.'}
          </p>
        </div>
        <Button onClick={() => void change.run({ isDraining: !wanted })} isBusy={change.isBusy} refusal={refusal}>
          {wanted ? 'Give it work again' : 'Let it rest'}
        </Button>
      </section>
      <section className="card p-4" aria-label="Identity">
        <h2 className="mb-2 text-sm">Identity</h2>
        <dl className="grid gap-x-6 gap-y-2 md:grid-cols-2">
          <Fact name="Fingerprint" value={entry.fingerprint} isMono />
          <Fact name="Joined" value={clock(entry.createdAtMs, now)} />
          <Fact name="Connected last" value={entry.lastConnectedAtMs === null ? 'never' : clock(entry.lastConnectedAtMs, now)} />
          <Fact name="From" value={entry.lastAddress ?? '–'} />
          <Fact name="Its way here" value={TRANSPORT[entry.lastTransport ?? ''] ?? '–'} />
          <Fact name="Pinned by operators" value={entry.desired.pinnedModels.join(', ') || 'nothing'} />
        </dl>
        <p className="small mt-2">The machine shows the same fingerprint: lai-agent status.</p>
      </section>
      <Membership node={node} refusal={refusal} />
    </div>
  );
};

const TRANSPORT: Record<string, string> = {
  tls: 'encrypted (TLS)',
  loopback: 'this machine itself',
  plain: 'not encrypted: others on the network can read along',
};

const Fact = ({ name, value, isMono = false }: { name: string; value: string; isMono?: boolean }) => (
  <div>
    <dt className="small">{name}</dt>
    <dd className={isMono ? 'font-mono' : ''}>{value}</dd>
  </div>
);

const NameForm = ({
  node: { entry },
  save,
  isBusy,
  refusal,
}: {
  node: FleetNode;
  save: (change: NodeChange) => Promise<boolean>;
  isBusy: boolean;
  refusal: string | null;
}) => {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    if (refusal === null) void save({ name: String(form.get('name')).trim(), group: String(form.get('group')).trim() });
  };
  return (
    <form className="card flex flex-wrap items-end gap-3 p-4" aria-label="Name and group" onSubmit={submit}>
      <label className="flex-1 basis-48">
        <span className="small">Name</span>
        <input className="field" name="name" defaultValue={entry.name} required maxLength={64} pattern="[A-Za-z0-9 ._\-]+" />
      </label>
      <label className="flex-1 basis-36">
        <span className="small">Group</span>
        <input className="field" name="group" defaultValue={entry.group} required maxLength={32} pattern="[a-z0-9][a-z0-9\-]*" />
      </label>
      <button className="btn" type="submit" aria-disabled={refusal !== null || isBusy} title={refusal ?? undefined}>
        Save
      </button>
    </form>
  );
};

type Step = 'approve' | 'revoke' | 'forget';
const WORDS: Record<Step, { button: string; title: (name: string) => string; text: string }> = {
  approve: {
    button: 'Approve',
    title: (name) => `Let ${name} in?`,
    text: 'Compare the fingerprint with the one that the machine shows. Requests, prompts with them, are sent to it from then on.',
  },
  revoke: {
    button: 'Shut out',
    title: (name) => `Shut ${name} out?`,
    text: 'Its connection is cut and what runs there moves or fails. It can only come back with a new token.',
  },
  forget: {
    button: 'Forget',
    title: (name) => `Forget ${name}?`,
    text: 'Its name, group, pins and wishes are deleted. What it did stays in the audit log. It can only join anew.',
  },
};

const Membership = ({ node: { entry }, refusal }: { node: FleetNode; refusal: string | null }) => {
  const [step, setStep] = useState<Step | null>(null);
  const [, navigate] = useLocation();
  const path = { id: entry.id };
  const act = useAction((which: Step) =>
    which === 'approve'
      ? call('POST /api/v1/nodes/{id}/approve', { path })
      : which === 'revoke'
        ? call('POST /api/v1/nodes/{id}/revoke', { path })
        : call('DELETE /api/v1/nodes/{id}', { path }),
  );
  const confirm = async (which: Step) => {
    if (!(await act.run(which))) return;
    setStep(null);
    if (which === 'forget') navigate('/machines');
  };
  const steps: Step[] = [
    ...(entry.state === 'pending' || entry.state === 'locked' ? (['approve'] as const) : []),
    ...(entry.state === 'revoked' ? [] : (['revoke'] as const)),
    'forget',
  ];
  return (
    <section className="card flex flex-wrap items-center gap-3 p-4" aria-label="Membership">
      <div className="min-w-0 flex-1 basis-64">
        <h2 className="text-sm">Membership</h2>
        <p className="text-muted">
          {entry.state}
          {entry.stateReason ? `: ${entry.stateReason}` : ''}
        </p>
      </div>
      {steps.map((each) => (
        <Button key={each} kind={each === 'approve' ? 'primary' : 'bad'} onClick={() => setStep(each)} refusal={refusal}>
          {WORDS[each].button}
        </Button>
      ))}
      {step && (
        <Dialog title={WORDS[step].title(entry.name)} description={WORDS[step].text} onClose={() => setStep(null)}>
          {step === 'approve' && <p className="mb-4 font-mono text-base">{entry.fingerprint}</p>}
          {act.error !== null && <Problem error={act.error} />}
          <div className="mt-3 flex justify-end gap-2">
            <Button onClick={() => setStep(null)}>Not now</Button>
            <Button kind={step === 'approve' ? 'primary' : 'bad'} isBusy={act.isBusy} onClick={() => void confirm(step)}>
              {WORDS[step].button}
            </Button>
          </div>
        </Dialog>
      )}
    </section>
  );
};
