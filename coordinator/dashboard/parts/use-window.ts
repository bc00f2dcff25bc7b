import { type RefObject, useLayoutEffect, useState } from 'react';

export interface Window {
  readonly from: number;
  readonly to: number;
}

const MARGIN = 6;

/** Which of many lines of one height can be seen of a box that scrolls, with some to spare. Pure. */
export const windowOf = (
  { count, size }: { count: number; size: number },
  { offset, extent }: { offset: number; extent: number },
): Window => ({
  from: Math.max(0, Math.floor(offset / size) - MARGIN),
  to: Math.min(count, Math.ceil((offset + extent) / size) + MARGIN),
});

/** The same of rows and columns of a box, as it is scrolled. */
export const useWindow = (
  box: RefObject<HTMLElement | null>,
  rows: { count: number; size: number },
  columns: { count: number; size: number },
): { rows: Window; columns: Window } => {
  const [seen, setSeen] = useState({ top: 0, left: 0, height: 800, width: 1_280 });
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = () => {
      const { scrollTop: top, scrollLeft: left, clientHeight: height, clientWidth: width } = element;
      setSeen((before) =>
        before.top === top && before.left === left && before.height === height && before.width === width
          ? before
          : { top, left, height, width },
      );
    };
    look();
    element.addEventListener('scroll', look, { passive: true });
    const sizes = new ResizeObserver(look);
    sizes.observe(element);
    return () => {
      element.removeEventListener('scroll', look);
      sizes.disconnect();
    };
  }, [box]);
  return {
    rows: windowOf(rows, { offset: seen.top, extent: seen.height }),
    columns: windowOf(columns, { offset: seen.left, extent: seen.width }),
  };
};
