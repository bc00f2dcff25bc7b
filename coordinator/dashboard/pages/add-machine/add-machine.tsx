import type { FleetNode } from '@lai/shared/fleet-api';
import type { JoinSystem } from '@lai/shared/release-api';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState, useSyncExternalStore } from 'react';
import { ApiError, call } from '../../client/call.ts';
import { useNow } from '../../live/clock.ts';
import { useSummary } from '../../live/fleet-store.ts';
import { Button } from '../../parts/button.tsx';
import { CopyField } from '../../parts/copy-field.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { countdown } from '../../parts/format.ts';
import { Problem } from '../../parts/problem.tsx';
import { useAction } from '../../parts/use-action.ts';
import { type Invitation, invitation, keepInvitation } from './invitation.ts';
import { JoinSteps } from './join-steps.tsx';
import { type JoinOptions, OptionsForm } from './options-form.tsx';

const SYSTEMS: readonly { os: JoinSystem; word: string }[] = [
  { os: 'linux', word: 'Linux' },
  { os: 'macos', word: 'macOS' },
  { os: 'windows', word: 'Windows' },
];

const ownSystem = (): JoinSystem => {
  const agent = navigator.userAgent;
  if (/Windows/.test(agent)) return 'windows';
  return /Mac OS X/.test(agent) && !/iPhone|iPad/.test(agent) ? 'macos' : 'linux';
};

/** A line to paste on a machine, and then, live, how far it has come. */
const AddMachine = ({ onClose }: { onClose: () => void }) => {
  const kept = useSyncExternalStore(invitation.subscribe, invitation.current);
  const [os, setOs] = useState<JoinSystem>(ownSystem);
  const [isLeaving, setLeaving] = useState(false);
  const make = useAction(async (options: JoinOptions) => keepInvitation(await invite(options)));
  const tokens = useQuery({ queryKey: ['tokens'], queryFn: () => call('GET /api/v1/tokens') });
  const token = tokens.data?.find(({ id }) => id === kept?.token.id) ?? kept?.token ?? null;
  const joined = useJoined(kept?.token.id ?? null);
  const now = useNow();
  const isOver = token !== null && (token.expiresAtMs <= now || token.state === 'expired' || token.state === 'revoked');
  const isUnused = kept !== null && !isOver && joined.length === 0 && token?.state === 'valid';
  const revoke = useAction((id: string) => call('DELETE /api/v1/tokens/{id}', { path: { id } }));

  // A dry run makes the agent of that system and no token; the lines are made anew then.
  const prepare = useAction(async (which: JoinSystem, old: Invitation) => {
    await call('POST /api/v1/join-commands', {
      body: { os: which, isDryRun: true, ...plainNetwork() },
    });
    await replace(old, {}, make.run);
  });

  // Once, and again only when somebody asks: a token that nobody needs is one too many.
  const { run } = make;
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the dialog opens
  useEffect(() => {
    if (invitation.current() === null) void run({});
  }, []);

  const leave = () => {
    if (isUnused && !isLeaving) return setLeaving(true);
    if (!isUnused) keepInvitation(null);
    onClose();
  };
  const end = async () => {
    if (kept && !(await revoke.run(kept.token.id))) return;
    keepInvitation(null);
    onClose();
  };
  if (isLeaving)
    return (
      <Dialog
        title="Keep the line or take it back?"
        description="Nobody has used it yet. Kept, it works until it runs out, and this dialog shows it again."
        onClose={onClose}
      >
        {revoke.error !== null && <Problem error={revoke.error} />}
        <div className="flex flex-wrap justify-end gap-2">
          <Button kind="bad" onClick={() => void end()} isBusy={revoke.isBusy}>
            Take it back
          </Button>
          <Button kind="primary" onClick={onClose}>
            Keep it
          </Button>
        </div>
      </Dialog>
    );
  return (
    <Dialog
      title="Add a machine"
      description="Paste one line there. It installs the agent, which calls home: nothing has to be opened in a firewall."
      onClose={leave}
      isWide
      isTall
    >
      {make.error !== null && <Problem error={make.error} retry={() => void make.run({})} />}
      {/* Never above a line that is there already: it would jump when this goes. */}
      {(kept === null ? make.isBusy : prepare.isBusy) && <Making />}
      {kept && token && (
        <>
          <Line
            {...{ kept, os, setOs, isOver }}
            prepare={(which) => void prepare.run(which, kept)}
            isPreparing={prepare.isBusy}
          />
          {prepare.error !== null && <Problem error={prepare.error} />}
          <p className="small mt-2 flex flex-wrap items-center gap-x-3 gap-y-1">
            {isOver ? (
              <>
                <span>It has run out.</span>
                <Button onClick={() => void make.run({})} isBusy={make.isBusy}>
                  Make a new one
                </Button>
              </>
            ) : token.state === 'used' ? (
              <span>It was used.</span>
            ) : (
              <span>
                {token.maxUses === 1 ? 'Works once' : `Works ${token.usesLeft} more times`}.{' '}
                <strong className="text-text">{countdown(token.expiresAtMs - now)}</strong> left.
                {token.needsApproval ? ' Who comes with it must be approved.' : ''}
              </span>
            )}
          </p>
          {!isOver && (
            <OptionsForm token={token} isBusy={make.isBusy} onChange={(options) => void replace(kept, options, make.run)} />
          )}
          <JoinSteps token={token} joined={joined} />
        </>
      )}
    </Dialog>
  );
};

/** How far the release is that a line needs. */
const Making = () => {
  const { data } = useQuery({
    queryKey: ['updates', 'making'],
    queryFn: () => call('GET /api/v1/updates'),
    refetchInterval: 1_000,
    staleTime: 0,
  });
  return (
    <p className="late text-muted" role="status">
      {data?.making ? `${data.making.step} …` : 'Making a line …'}
    </p>
  );
};

/** The old token must not stay behind. */
const replace = async (
  kept: Invitation,
  options: JoinOptions,
  make: (options: JoinOptions) => Promise<boolean>,
): Promise<void> => {
  if (await make(options)) await call('DELETE /api/v1/tokens/{id}', { path: { id: kept.token.id } }).catch(() => {});
};

const invite = async (options: JoinOptions): Promise<Invitation> => {
  try {
    const {
      commands = [],
      token,
      warnings,
    } = await call('POST /api/v1/join-commands', {
      body: { os: 'all', ...options, ...plainNetwork() },
    });
    if (token) return { token, warnings, lines: Object.fromEntries(commands.map((line) => [line.os, line])), missing: null };
    throw new Error('The coordinator made no token.');
  } catch (error) {
    // Nothing can be installed from here, or from another machine; one that has Lai already can still join.
    const isMissing = error instanceof ApiError && error.code === 'entry_not_found';
    if (!isMissing) throw error;
    const issued = await call('POST /api/v1/tokens', { body: options });
    const command = (program: string) => `LAI_TOKEN='${issued.token}' ${program} join --url ${location.origin}`;
    return {
      token: issued.view,
      warnings: [],
      missing: error.message,
      lines: {
        linux: { command: command('lai-agent'), problem: null },
        macos: { command: command('lai-agent'), problem: null },
        windows: { command: `$env:LAI_TOKEN='${issued.token}'; lai-agent join --url ${location.origin}`, problem: null },
      },
    };
  }
};

/** This page itself came in the clear from another machine: who opened it trusts the network. */
const plainNetwork = (): { isInsecure?: true } => (location.protocol === 'http:' ? { isInsecure: true } : {});

const useJoined = (tokenId: string | null): FleetNode[] =>
  (useSummary()?.nodes ?? []).filter(({ entry }) => tokenId !== null && entry.tokenId === tokenId);

const Line = ({
  kept,
  os,
  setOs,
  isOver,
  prepare,
  isPreparing,
}: {
  kept: Invitation;
  os: JoinSystem;
  setOs: (os: JoinSystem) => void;
  isOver: boolean;
  prepare: (os: JoinSystem) => void;
  isPreparing: boolean;
}) => {
  const line = kept.lines[os];
  return (
    <>
      {kept.missing && (
        <p className="mb-3 rounded-md bg-wait-soft px-3 py-2 text-wait">
          {kept.missing} Until then a machine that has Lai already joins with this line, and{' '}
          <span className="font-mono">lai-agent run</span> starts it.
        </p>
      )}
      {kept.warnings.map((warning) => (
        <p key={warning} className="mb-3 rounded-md bg-wait-soft px-3 py-2 text-wait">
          {warning}
        </p>
      ))}
      <fieldset aria-label="System of the machine" className="mb-2 inline-flex overflow-hidden rounded-md border border-control">
        {SYSTEMS.map(({ os: each, word }) => (
          <button
            key={each}
            type="button"
            aria-pressed={os === each}
            className={`min-h-9 cursor-pointer px-4 pointer-coarse:min-h-11 ${os === each ? 'bg-accent-soft font-semibold' : ''}`}
            onClick={() => setOs(each)}
          >
            {word}
          </button>
        ))}
      </fieldset>
      {line?.command ? (
        <CopyField label={`Line for ${os}`} text={line.command} isStruck={isOver} />
      ) : (
        <div className="grid justify-items-start gap-2">
          <p className="text-muted">There is no agent for this system here yet.</p>
          <Button onClick={() => prepare(os)} isBusy={isPreparing}>
            Make it
          </Button>
        </div>
      )}
    </>
  );
};

export default AddMachine;
