import { useEffect, useRef, useState } from 'react';
import { Button } from './button.tsx';

/** Something to paste elsewhere. Where the browser gives no clipboard, it is selected to be copied by hand. */
export const CopyField = ({ label, text, isStruck = false }: { label: string; text: string; isStruck?: boolean }) => {
  const [isCopied, setCopied] = useState(false);
  const field = useRef<HTMLDivElement>(null);
  // It is what somebody came for, and it comes after the dialog has opened.
  useEffect(() => field.current?.querySelector('button')?.focus(), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 2_000);
    } catch {
      field.current?.querySelector('textarea')?.select();
    }
  };
  return (
    <div ref={field} className="flex flex-wrap items-start gap-2">
      <textarea
        readOnly
        rows={4}
        aria-label={label}
        value={text}
        className={`field min-w-0 flex-1 basis-64 resize-none py-2 font-mono text-xs break-all ${isStruck ? 'text-muted line-through' : ''}`}
        onFocus={(event) => event.currentTarget.select()}
      />
      <Button kind="primary" onClick={() => void copy()} refusal={isStruck ? 'It has run out.' : null}>
        {isCopied ? 'Copied' : 'Copy'}
      </Button>
    </div>
  );
};
