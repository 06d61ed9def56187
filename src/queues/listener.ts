import pg from 'pg';
import { scrub } from '../scrub.ts';
import type { Secret } from '../secret.ts';
import type { Telemetry } from '../telemetry.ts';

export type Listener = {
  /** resolves when it first listens; rejects never */
  start(): void;
  stop(): Promise<void>;
};

export type ListenerOptions = {
  readonly url: Secret;
  readonly channel: string;
  /** called at each notification, and after each (re)connection: what was said meanwhile was not heard */
  readonly onHint: () => void;
  readonly telemetry: Telemetry;
  /** a statement that takes what the connection is to hold; one row, column `taken` */
  readonly take?: string;
  readonly heartbeatMs?: number;
};

const firstRetryMs = 100;
const longestRetryMs = 5_000;

/**
 * LISTEN on a connection of its own. A connection that is cut, or silently dead (no answer to the heartbeat),
 * is replaced; meanwhile the poll does the work. `application_name` is zoom-steward-listen.
 */
export function createListener({
  url,
  channel,
  onHint,
  telemetry,
  take,
  heartbeatMs = 5_000,
}: ListenerOptions): Listener {
  let stopped = false;
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let retryMs = firstRetryMs;
  let lostAt = Date.now();
  let connecting: Promise<void> = Promise.resolve();

  const lose = (lost: pg.Client, detail: string): void => {
    if (client !== lost) return;
    client = undefined;
    clearTimeout(timer);
    lostAt = Date.now();
    telemetry.emit('listener_lost', { detail: scrub(detail) });
    // Not awaited: on a connection that is silently dead the farewell is never answered.
    (lost as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    again();
  };

  const again = (): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      connecting = connect();
    }, retryMs);
    retryMs = Math.min(retryMs * 2, longestRetryMs);
  };

  const beat = (alive: pg.Client): void => {
    timer = setTimeout(() => {
      alive.query('select 1').then(
        () => {
          if (client === alive) beat(alive);
        },
        (error: Error) => lose(alive, `heartbeat: ${error.message}`),
      );
    }, heartbeatMs);
  };

  const connect = async (): Promise<void> => {
    if (stopped) return;
    const fresh = new pg.Client({
      connectionString: url.reveal(),
      application_name: 'zoom-steward-listen',
      keepAlive: true,
      connectionTimeoutMillis: heartbeatMs,
      query_timeout: heartbeatMs,
    });
    fresh.on('error', (error) => lose(fresh, error.message));
    fresh.on('end', () => lose(fresh, 'the connection ended'));
    fresh.on('notification', () => onHint());
    try {
      await fresh.connect();
      await fresh.query(`listen ${channel}`);
      if (take !== undefined && (await fresh.query<{ taken: boolean }>(take)).rows[0]?.taken !== true)
        throw new Error('somebody else holds what this connection is to take');
    } catch (error) {
      fresh.end().catch(() => {});
      telemetry.emit('listener_lost', { detail: scrub((error as Error).message) });
      again();
      return;
    }
    if (stopped) {
      await fresh.end();
      return;
    }
    client = fresh;
    retryMs = firstRetryMs;
    telemetry.emit('listener_ready', { afterMs: Date.now() - lostAt });
    onHint();
    beat(fresh);
  };

  return {
    start() {
      connecting = connect();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await connecting;
      clearTimeout(timer);
      const last = client;
      client = undefined;
      await last?.end().catch(() => {});
    },
  };
}
