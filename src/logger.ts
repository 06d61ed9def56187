import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import { scrub } from './scrub.ts';
import { traceFields } from './trace-context.ts';

/** The log of a process: constant messages, data in fields. */
export type Logger = PinoLogger;

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

const secretNames = [
  'token',
  'accessToken',
  'refreshToken',
  'access_token',
  'refresh_token',
  'codeVerifier',
  'authorizationCode',
  'stateParameter',
  'clientSecret',
  'client_secret',
  'secret',
  'password',
  'authorization',
  'cookie',
  'databaseUrl',
  'redisUrl',
  'sealedAccess',
  'sealedRefresh',
] as const;

const depthShown = 4;

function serializeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return typeof error === 'string' ? scrub(error) : error;
  const { code, context } = error as { code?: unknown; context?: unknown };
  return {
    type: error.name,
    message: scrub(error.message),
    ...(code === undefined ? {} : { code }),
    ...(context === undefined ? {} : { context }),
    ...(error.stack === undefined ? {} : { stack: scrub(error.stack) }),
    ...(error.cause === undefined || depth >= depthShown ? {} : { cause: serializeError(error.cause, depth + 1) }),
  };
}

/** Method and path without the query: that is where codes and states travel. */
function serializeRequest(request: unknown): unknown {
  const { method, url, id } = (request ?? {}) as { method?: string; url?: string; id?: string };
  return { id, method, path: url?.split('?', 1)[0] };
}

/**
 * The log, as JSON lines on stderr (stdout is for data). `Secret` prints itself as `[secret]`; redaction
 * by name and serializers are there for what is not a `Secret` yet.
 */
export function createLogger({ level, destination }: { level: LogLevel; destination?: DestinationStream }): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      // Which trace a line belongs to, where there are traces.
      mixin: () => ({ ...traceFields() }),
      formatters: { level: (label) => ({ level: label }) },
      // Three levels deep: pino has no "anywhere", and our own fields are not deeper.
      redact: {
        paths: secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*.*.*.${name}`]),
        censor: '[secret]',
      },
      serializers: {
        err: (error) => serializeError(error),
        error: (error) => serializeError(error),
        req: serializeRequest,
        request: serializeRequest,
      },
    },
    destination ?? pino.destination({ fd: 2, sync: true }),
  );
}
