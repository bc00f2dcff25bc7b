import type { ReactNode } from 'react';

export interface ButtonProps {
  readonly children: ReactNode;
  readonly onClick: () => void;
  readonly kind?: 'plain' | 'primary' | 'bad' | 'quiet';
  readonly isBusy?: boolean;
  /** Why it cannot be used now. It stays where it is and says so. */
  readonly refusal?: string | null | undefined;
  readonly label?: string;
}

const KIND = { plain: 'btn', primary: 'btn btn-primary', bad: 'btn btn-bad', quiet: 'btn btn-quiet' };

/** A refused button can still be reached and read, and says why; it does nothing. */
export const Button = ({ children, onClick, kind = 'plain', isBusy = false, refusal = null, label }: ButtonProps) => (
  <button
    type="button"
    className={KIND[kind]}
    aria-label={label}
    title={refusal ?? undefined}
    aria-disabled={refusal !== null || isBusy}
    data-busy={isBusy || undefined}
    onClick={() => refusal === null && !isBusy && onClick()}
  >
    {children}
    {refusal !== null && <span className="sr-only">. {refusal}</span>}
  </button>
);
