import type { Logger } from '../logger.ts';
import type { Telemetry, TelemetryEvents } from '../telemetry.ts';

type Level = 'debug' | 'info' | 'warn' | 'error';
type Line<Name extends keyof TelemetryEvents> = readonly [
  level: Level | ((event: TelemetryEvents[Name]) => Level),
  message: string,
];

/** What each event says in the log: a constant message, the event as fields. */
const lines: { readonly [Name in keyof TelemetryEvents]: Line<Name> } = {
  job_started: ['debug', 'job started'],
  job_finished: [({ outcome }) => (outcome === 'failed' || outcome === 'invalid' ? 'error' : 'debug'), 'job finished'],
  job_stalled: ['warn', 'job stalled: its worker is gone or was blocked'],
  queue_error: ['warn', 'queue error'],
  outbox_moved: ['debug', 'outbox moved'],
  outbox_delayed: ['warn', 'outbox delayed: the queue is away'],
  events_offered: ['debug', 'events offered to the main app'],
  events_delayed: ['warn', 'events delayed: the queue or the database is away'],
  listener_lost: ['warn', 'listener lost: the poll goes on'],
  listener_ready: ['debug', 'listener ready'],
  worker_state: ['info', 'worker'],
  upkeep: [({ failed }) => (failed === undefined ? 'debug' : 'warn'), 'upkeep'],
  zoom_request: ['debug', 'asked Zoom'],
  grant: ['info', 'grant'],
  run_members: ['debug', 'run looked at members'],
  run_ended: [({ kind }) => (kind === 'organization' || kind === 'cascade' ? 'info' : 'debug'), 'run ended'],
  second_lane_failed: ['warn', 'second lane of a run failed: the first goes on alone for a while'],
  meeting: [({ outcome }) => (outcome === 'internal' ? 'warn' : 'debug'), 'meeting'],
  webhook: [({ outcome }) => (outcome === 'failed' || outcome === 'unreadable' ? 'warn' : 'debug'), 'webhook'],
  worker_wedged: ['error', 'worker is wedged: jobs wait, slots are free, nothing starts; it ends itself'],
};

/** Writes every event of the process to its log. Returns how to stop. */
export function logTelemetry(telemetry: Telemetry, log: Logger): () => void {
  return telemetry.onAny((name, event) => {
    const [level, message] = lines[name] as Line<typeof name>;
    log[typeof level === 'function' ? level(event as never) : level]({ ...event }, message);
  });
}
