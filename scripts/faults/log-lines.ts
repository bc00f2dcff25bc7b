import type { Stage } from './stage.ts';

/** Names of the messages in the coordinator's log that faults look for. */
export const NODE_GONE = 'node gone';
export const NODE_CONNECTED = 'node connected';

export interface LogLine {
  readonly msg: string;
  readonly name?: string;
  /** `performance.now()` of when it was written. */
  readonly atMs: number;
}

/** What the coordinators log from now on, on our clock. */
export const readLog = (stage: Stage): LogLine[] => {
  const lines: LogLine[] = [];
  stage.onLine((line) => {
    try {
      const { msg, name, time } = JSON.parse(line) as { msg?: string; name?: string; time?: number };
      if (typeof msg === 'string' && typeof time === 'number')
        lines.push({ msg, atMs: time - performance.timeOrigin, ...(name === undefined ? {} : { name }) });
    } catch {
      // not a line of the log
    }
  });
  return lines;
};
