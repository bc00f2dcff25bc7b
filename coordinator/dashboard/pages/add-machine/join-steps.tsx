import type { TokenView } from '@lai/shared/admin-api';
import type { FleetNode } from '@lai/shared/fleet-api';
import { Link } from 'wouter';
import { call } from '../../client/call.ts';
import { Button } from '../../parts/button.tsx';
import { gigabytes, plural } from '../../parts/format.ts';
import { Icon } from '../../parts/icon.tsx';
import { Problem } from '../../parts/problem.tsx';
import { useAction } from '../../parts/use-action.ts';

/** How far whoever pasted the line has come. Announced, without taking the focus. */
export const JoinSteps = ({ token, joined }: { token: TokenView; joined: readonly FleetNode[] }) => (
  <div className="mt-4 border-line border-t pt-3" aria-live="polite">
    {joined.length === 0 ? (
      <Step kind="next">waiting for somebody to run it</Step>
    ) : (
      joined.map((node) => <Joined key={node.entry.id} node={node} />)
    )}
    {token.refusedUses > 0 && (
      <p className="mt-2 text-bad">Somebody tried this token after it was used. If that was not you, look at the audit log.</p>
    )}
  </div>
);

const Step = ({ kind, children }: { kind: 'done' | 'next'; children: React.ReactNode }) => (
  <p className="flex items-start gap-2 py-1">
    <Icon name={kind === 'done' ? 'check' : 'wait'} className={`mt-0.5 ${kind === 'done' ? 'text-ok' : 'text-wait'}`} />
    <span className="min-w-0">{children}</span>
  </p>
);

const Joined = ({ node }: { node: FleetNode }) => {
  const { entry, report, liveness } = node;
  const approve = useAction(() => call('POST /api/v1/nodes/{id}/approve', { path: { id: entry.id } }));
  const isConnected = liveness === 'alive' && report !== null;
  return (
    <>
      <Step kind="done">
        enrolled as <strong>{entry.name}</strong> · the machine shows the same words:{' '}
        <span className="font-mono">{entry.fingerprint}</span>
      </Step>
      {entry.state === 'pending' && (
        <Step kind="next">
          waits for you.{' '}
          <Button kind="primary" onClick={() => void approve.run()} isBusy={approve.isBusy}>
            Approve {entry.name}
          </Button>
        </Step>
      )}
      {approve.error !== null && <Problem error={approve.error} />}
      {isConnected ? (
        <Step kind="done">
          connected: {summaryOf(node)} · <Link href={`/machines/${entry.id}`}>Look at it</Link>
        </Step>
      ) : (
        entry.state === 'approved' && <Step kind="next">connecting …</Step>
      )}
    </>
  );
};

const summaryOf = ({ report }: FleetNode): string => {
  const gpus = report?.gpus.map(({ name, vramTotalBytes }) => `${name}, ${gigabytes(vramTotalBytes)}`) ?? [];
  const engines =
    report?.runtimes.map(
      ({ kind, version, isSimulated }) => `${kind}${version ? ` ${version}` : ''}${isSimulated ? ' (simulated)' : ''}`,
    ) ?? [];
  const models = (report?.coldCount ?? 0) + (report?.models.length ?? 0);
  return [...(gpus.length > 0 ? gpus : ['no GPU']), ...engines, plural(models, 'model')].join(' · ');
};
