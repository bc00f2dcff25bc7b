/**
 * What Windows knows of a service, out of `reg query HKLM\SYSTEM\CurrentControlSet\Services\<name>`. The registry and not `sc qc`, because
 * it answers in every language with the same words.
 */
export interface Registered {
  readonly command: string;
  readonly account: string;
  readonly startsBySelf: boolean;
  readonly isDelayed: boolean;
  readonly description: string;
  readonly recovery: Recovery | null;
  /** Recovery also after an exit code, not only after a crash. */
  readonly recoversFromExit: boolean;
  readonly hasSid: boolean;
}

export interface Recovery {
  /** Without a failure for this long, the first action comes first again. */
  readonly resetS: number;
  readonly restartsAfterMs: readonly number[];
}

/** Pure. `    Start    REG_DWORD    0x2`, four blanks between the columns. */
const valuesIn = (text: string): Map<string, string> =>
  new Map(
    [...text.matchAll(/^ {4}(\S.*?) {4}REG_\w+(?: {4}(.*?))?\r?$/gm)].map(([, name = '', value = '']) => [
      name.toLowerCase(),
      value,
    ]),
  );

const AUTO_START = 2;
const UNRESTRICTED_SID = 1;

/** Pure. */
export const registeredIn = (text: string): Registered => {
  const values = valuesIn(text);
  const word = (name: string) => values.get(name) ?? '';
  const number = (name: string) => Number(values.get(name) ?? 0);
  return {
    command: word('imagepath'),
    account: word('objectname'),
    startsBySelf: number('start') === AUTO_START,
    isDelayed: number('delayedautostart') === 1,
    description: word('description'),
    recovery: recoveryIn(word('failureactions')),
    recoversFromExit: number('failureactionsonnoncrashfailures') === 1,
    hasSid: number('servicesidtype') === UNRESTRICTED_SID,
  };
};

const RESTART = 1;

/** Pure. SERVICE_FAILURE_ACTIONS as it lies in the registry: seconds, two pointers, count, offset, then kind and milliseconds of each. */
export const recoveryIn = (hex: string): Recovery | null => {
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.length < 20) return null;
  const [count, start] = [bytes.readUInt32LE(12), bytes.readUInt32LE(16)];
  const restartsAfterMs: number[] = [];
  for (let at = start; at < start + count * 8; at += 8) {
    if (at + 8 > bytes.length || bytes.readUInt32LE(at) !== RESTART) return null;
    restartsAfterMs.push(bytes.readUInt32LE(at + 4));
  }
  return { resetS: bytes.readUInt32LE(0), restartsAfterMs };
};
