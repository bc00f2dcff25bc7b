import { type Logger, pino } from 'pino';

/** One line per state change, JSON. Prompts and secrets are never passed in; what could be one by accident is blanked here. */
export const createLogger = (level: string): Logger =>
  pino({
    level,
    base: null,
    redact: {
      paths: ['*.authorization', '*.token', '*.privateKey', '*.apiKey', '*.messages', '*.prompt', '*.body'],
      censor: '[redacted]',
    },
  });
