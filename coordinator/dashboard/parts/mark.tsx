import { Icon } from './icon.tsx';
import type { Mark } from './node-state.ts';

const TEXT: Record<Mark, string> = { ok: 'text-ok', wait: 'text-wait', bad: 'text-bad', off: 'text-off', game: 'text-game' };
const TAG: Record<Mark, string> = {
  ok: 'bg-ok-soft text-ok',
  wait: 'bg-wait-soft text-wait',
  bad: 'bg-bad-soft text-bad',
  off: 'bg-off-soft text-off',
  game: 'bg-game-soft text-game',
};

export const MarkIcon = ({ mark }: { mark: Mark }) => <Icon name={mark} className={TEXT[mark]} />;

/** A word with its shape, in its colour. */
export const Tag = ({ mark, children }: { mark: Mark; children: React.ReactNode }) => (
  <span className={`tag ${TAG[mark]}`}>
    <Icon name={mark} className="size-3" />
    {children}
  </span>
);

/** Where figures come from a stand-in for an engine, that is said. */
export const Simulated = () => (
  <span className="tag bg-off-soft text-off" title="No real engine is behind this: answers and speeds are made up.">
    simulated
  </span>
);
