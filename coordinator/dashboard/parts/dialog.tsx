import { lazy, type ReactNode, Suspense } from 'react';

export interface DialogProps {
  readonly title: ReactNode;
  readonly description?: ReactNode;
  readonly onClose: () => void;
  readonly children: ReactNode;
  readonly isWide?: boolean;
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
