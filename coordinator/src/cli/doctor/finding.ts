/** What one check of the doctor found. A finding that is not well comes with what to do. */
export interface Finding {
  /** Stable, for scripts: `redis.policy`. */
  readonly id: string;
  readonly level: 'ok' | 'warn' | 'fail';
  readonly sentence: string;
  readonly fix: string | null;
}

export const well = (id: string, sentence: string): Finding => ({ id, level: 'ok', sentence, fix: null });
export const warn = (id: string, sentence: string, fix: string): Finding => ({ id, level: 'warn', sentence, fix });
export const fail = (id: string, sentence: string, fix: string): Finding => ({ id, level: 'fail', sentence, fix });

const SIGNS = { ok: '✓', warn: '!', fail: '✗' } as const;

export const findingsPage = (findings: readonly Finding[]): string =>
  findings
    .map(({ level, sentence, fix }) => `${SIGNS[level]} ${sentence}${fix === null ? '' : `\n    → ${fix}`}`)
    .join('\n')
    .concat('\n');
