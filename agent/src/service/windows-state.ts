import { EXIT_OTHER_VERSION } from './trial.ts';

/** What `sc queryex` tells of a service. Labels are translated, numbers and words of states are not. */
export interface ServiceState {
  readonly state: string;
  readonly pid: number | null;
  readonly hasFailed: boolean;
  readonly detail: string;
}

/** Its exit code is the wrapper's own business, told as the second number. */
const SERVICE_SPECIFIC = 1066;
const NEVER_STARTED = 1077;

/** Pure. */
export const stateIn = (text: string): ServiceState => {
  const state = /:\s+[1-7]\s+([A-Z_]+)/.exec(text.replace(/^.*WIN32_\w+_PROCESS.*$/m, ''))?.[1] ?? 'UNKNOWN';
  const [code = 0, own = 0] = [...text.matchAll(/:\s+(\d+)\s+\(0x[0-9a-f]+\)/g)].map(([, number]) => Number(number));
  const pid = Number(/^\s*PID\s*:\s*(\d+)/m.exec(text)?.[1] ?? 0);
  const exit = code === SERVICE_SPECIFIC ? own : code === NEVER_STARTED ? 0 : code;
  const isStopped = state === 'STOPPED';
  const hasFailed = isStopped && exit !== 0 && exit !== EXIT_OTHER_VERSION;
  return {
    state,
    pid: pid > 0 ? pid : null,
    hasFailed,
    detail: `${state}${isStopped && exit !== 0 ? `, last exit ${exit}` : ''}`,
  };
};
