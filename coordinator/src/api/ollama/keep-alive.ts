import { CodedError } from '@lai/shared/errors';

const SECONDS: Readonly<Record<string, number>> = { ns: 1e-9, us: 1e-6, µs: 1e-6, μs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3_600 };
const DURATION = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const TERM = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)$/;

/**
 * Does `keep_alive` ask for the model to be unloaded? A number is seconds, a text a duration as Go writes it (`1h30m`, `0s`), and less
 * than one second is none. Negative means for ever. Throws CodedError for anything else.
 */
export const isUnload = (keepAlive: string | number | null | undefined): boolean => {
  if (keepAlive === null || keepAlive === undefined) return false;
  const seconds = typeof keepAlive === 'number' ? keepAlive : secondsIn(keepAlive.trim());
  return seconds > -1 && seconds < 1;
};

const secondsIn = (text: string): number => {
  if (NUMBER.test(text)) return Number(text);
  if (!DURATION.test(text))
    throw new CodedError('invalid_value', {
      message: `keep_alive: ${JSON.stringify(text.slice(0, 50))} is no duration. Send seconds, or a text such as "5m", "1h30m" or "0s".`,
      param: 'keep_alive',
    });
  const seconds = [...text.matchAll(TERM)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (SECONDS[unit ?? ''] ?? 0),
    0,
  );
  return text.startsWith('-') ? -seconds : seconds;
};
