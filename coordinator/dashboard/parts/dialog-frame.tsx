import { Dialog as Base } from '@base-ui/react/dialog';
import type { DialogProps } from './dialog.tsx';
import { Icon } from './icon.tsx';

/** In a chunk of its own, so that no page waits for it. On a phone it comes from below. */
const DialogFrame = ({ title, description, onClose, children, isWide = false, isTall = false }: DialogProps) => (
  <Base.Root open onOpenChange={(isOpen) => !isOpen && onClose()}>
    <Base.Portal>
      <Base.Backdrop className="fixed inset-0 z-40 bg-[rgb(0_0_0/0.55)] transition-opacity duration-[120ms] data-[starting-style]:opacity-0" />
      <Base.Popup
        className={`fixed inset-x-0 bottom-0 z-50 flex max-h-[92dvh] flex-col overflow-hidden rounded-t-xl border border-line bg-raised shadow-2xl transition-opacity duration-[120ms] data-[starting-style]:opacity-0 md:inset-x-auto md:top-[10vh] md:bottom-auto md:left-1/2 md:max-h-[80vh] md:-translate-x-1/2 md:rounded-xl ${isWide ? 'md:w-[680px]' : 'md:w-[460px]'} ${isTall ? 'h-[92dvh] md:h-auto' : ''}`}
      >
        <div className="px-5 pt-4 pr-14 pb-2">
          <Base.Title className="text-base font-semibold">{title}</Base.Title>
          {description && <Base.Description className="text-muted">{description}</Base.Description>}
        </div>
        <div className="overflow-y-auto px-5 pt-1 pb-5">{children}</div>
        {/* Last, so that the first thing that is reached is what the dialog is about. */}
        <Base.Close className="btn btn-quiet absolute top-2 right-2 !px-2.5" aria-label="Close">
          <Icon name="close" />
        </Base.Close>
      </Base.Popup>
    </Base.Portal>
  </Base.Root>
);

export default DialogFrame;
