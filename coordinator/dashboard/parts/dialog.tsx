import { lazy, type ReactNode, Suspense } from 'react';

export interface DialogProps {
  readonly title: ReactNode;
  readonly description?: ReactNode;
  readonly onClose: () => void;
  readonly children: ReactNode;
  readonly isWide?: boolean;
  /** What it shows comes later: on a phone it has its full height from the start, so that nothing jumps. */
  readonly isTall?: boolean;
}

const load = () => import('./dialog-frame.tsx');
const Frame = lazy(load);

/** Brings the overlays in when the page has nothing else to do; a click before that waits for them. */
export const warmUpDialogs = (): void => {
  const soon = window.requestIdleCallback ?? ((act: () => void) => window.setTimeout(act, 500));
  soon(() => void load());
};

/** Shown while it is rendered. */
export const Dialog = (props: DialogProps) => (
  <Suspense fallback={null}>
    <Frame {...props} />
  </Suspense>
);
