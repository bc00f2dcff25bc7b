import type { FleetNode } from '@lai/shared/fleet-api';
import { useNow } from '../../live/clock.ts';
import { useCommands } from '../../live/fleet-store.ts';
import { CommandRow } from '../../parts/command-row.tsx';
import { clock, gigabytes, span } from '../../parts/format.ts';
import { Simulated, Tag } from '../../parts/mark.tsx';
import { gamingCause } from '../../parts/node-state.ts';
import { MachineCard } from '../machines/machine-card.tsx';

/** What it does, and what it is in the middle of. */
export const MachineNow = ({ node }: { node: FleetNode }) => {
  const now = useNow();
  const commands = useCommands().filter(({ nodeId }) => nodeId === node.entry.id);
  const { report } = node;
  return (
    <div className="grid items-start gap-3 lg:grid-cols-[minmax(340px,5fr)_7fr]">
      <MachineCard id={node.entry.id} />
      <div className="grid min-w-0 gap-3">
        {report && report.holds.length > 0 && (
          <Section title="Why it takes no work">
            {report.holds.map(({ kind, cause, sinceMs, untilMs }) => (
              <p key={`${kind} ${cause}`} className="px-4 py-2.5">
                <strong className="font-semibold">{kind.replaceAll('_', ' ')}</strong>: {gamingCause(cause)} · since{' '}
                {clock(sinceMs, now)} ({span(now - sinceMs)}){untilMs === null ? '' : ` · until ${clock(untilMs, now)}`}
              </p>
            ))}
          </Section>
        )}
        {report?.preemption && (
          <Section title="How its GPU is given back">
            <ol className="px-4 py-2.5">
              {report.preemption.steps.map(({ step, atMs, detail }) => (
                <li key={`${step} ${atMs}`} className={`py-0.5 ${step === 'stuck' ? 'text-bad' : ''}`}>
                  <span className="text-muted">{clock(atMs, now, true)}</span> {step.replaceAll('_', ' ')}
                  {detail && <span className="text-muted"> · {detail}</span>}
                </li>
              ))}
            </ol>
          </Section>
        )}
        {report && (
          <Section title="Engines">
            {report.runtimes.length === 0 && <p className="px-4 py-2.5 text-muted">No engine was found on it.</p>}
            {report.runtimes.map(({ kind, version, state, mode, isSimulated, detail }) => (
              <p key={kind} className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2.5">
                <strong className="font-semibold">{kind}</strong>
                {version && <span>{version}</span>}
                <Tag mark={state === 'ready' ? 'ok' : state === 'failed' ? 'bad' : 'wait'}>{state}</Tag>
                {isSimulated && <Simulated />}
                <span className="text-muted">
                  {mode === 'owned' ? 'started by the agent' : 'was running before; the agent never stops it'}
                </span>
                {detail && <span className="basis-full text-muted">{detail}</span>}
              </p>
            ))}
            <p className="px-4 py-2.5 text-muted">
              {gigabytes(report.memory.freeBytes)} of {gigabytes(report.memory.totalBytes)} main memory free ·{' '}
              {gigabytes(report.modelDiskFreeBytes)} of disk free for models
            </p>
          </Section>
        )}
        {commands.length > 0 && (
          <Section title="Loads and downloads">
            <ul className="divide-y divide-line">
              {commands.slice(0, 10).map((command) => (
                <CommandRow key={command.commandId} command={command} />
              ))}
            </ul>
          </Section>
        )}
      </div>
    </div>
  );
};

const Section = ({ title, children }: { title: string; children: React.ReactNode }) => (
  <section aria-label={title} className="card overflow-hidden">
    <h2 className="px-4 pt-3 text-sm">{title}</h2>
    <div className="divide-y divide-line">{children}</div>
  </section>
);
