import { Link, Redirect, useParams } from 'wouter';
import { useNow } from '../../live/clock.ts';
import { useNode, useNodeIds } from '../../live/fleet-store.ts';
import { systemName } from '../../parts/format.ts';
import { Tag } from '../../parts/mark.tsx';
import { nodeState } from '../../parts/node-state.ts';
import { PageHead } from '../../parts/page-head.tsx';
import { Empty, Loading } from '../../parts/problem.tsx';
import { MachineModels } from './machine-models.tsx';
import { MachineNow } from './machine-now.tsx';
import { MachineSettings } from './machine-settings.tsx';

const TABS = [
  { path: '', word: 'Now' },
  { path: '/models', word: 'Models' },
  { path: '/settings', word: 'Settings' },
] as const;

/** One machine: what it does, its models, what operators want of it. */
const Machine = () => {
  const { id = '', tab = '' } = useParams<{ id: string; tab?: string }>();
  const now = useNow();
  const node = useNode(id);
  const ids = useNodeIds();
  if (ids === null) return <Loading height={480} />;
  if (!node)
    return (
      <>
        <PageHead title="Machine" />
        <Empty action={<Link href="/machines">All machines</Link>}>There is no such machine. Perhaps it was forgotten.</Empty>
      </>
    );
  const state = nodeState(node, now);
  if (!TABS.some(({ path }) => path === (tab && `/${tab}`))) return <Redirect to={`/machines/${id}`} />;
  return (
    <>
      <PageHead
        title={node.entry.name}
        lead={[node.report && `${systemName(node.report.os.platform)} ${node.report.os.arch}`, `group ${node.entry.group}`]
          .filter(Boolean)
          .join(' · ')}
        action={
          <Tag mark={state.mark}>
            {state.word}
            {state.detail ? `, ${state.detail}` : ''}
          </Tag>
        }
      />
      <nav aria-label="Parts of this machine" className="mb-4 flex gap-1 border-line border-b">
        {TABS.map(({ path, word }) => {
          const isHere = path === (tab && `/${tab}`);
          return (
            <Link
              key={word}
              href={`/machines/${id}${path}`}
              aria-current={isHere ? 'page' : undefined}
              className={`-mb-px flex min-h-10 items-center border-b-2 px-3 pointer-coarse:min-h-11 ${isHere ? 'border-accent font-semibold text-text' : 'border-transparent text-muted'}`}
            >
              {word}
            </Link>
          );
        })}
      </nav>
      {tab === 'models' ? (
        <MachineModels node={node} />
      ) : tab === 'settings' ? (
        <MachineSettings node={node} />
      ) : (
        <MachineNow node={node} />
      )}
    </>
  );
};

export default Machine;
