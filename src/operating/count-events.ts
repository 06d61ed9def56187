import { queueNames } from '../jobs/contract/definition.ts';
import type { Telemetry } from '../telemetry.ts';
import type { MetricList } from './metric-list.ts';

const refreshOutcome: Readonly<Record<string, string>> = {
  refresh_rotated: 'rotated',
  refresh_not_sent: 'not_sent',
  refresh_refused: 'refused',
  refresh_unknown: 'unknown',
};

const statusClass = (status: number | null): string => (status === null ? 'none' : `${Math.floor(status / 100)}xx`);

/** Counts what happens in this process. Returns how to stop. */
export function countEvents(telemetry: Telemetry, metrics: MetricList): () => void {
  // A counter that begins at 1 never increased, for Prometheus: what alerts look for begins at 0.
  for (const outcome of [...Object.values(refreshOutcome), 'lost']) metrics.tokenRefresh.inc({ outcome }, 0);
  for (const action of ['create', 'update', 'delete', 'credentials'])
    for (const outcome of ['done', 'internal', 'temporarily_unavailable']) metrics.meetings.inc({ action, outcome }, 0);
  for (const queue of queueNames) metrics.jobStalled.inc({ queue }, 0);
  const offs = [
    telemetry.on('job_started', ({ queue, job, waitedMs, attempt }) => {
      metrics.jobsStarted.inc({ queue, job });
      // A retry waits on purpose: only the first attempt says how long work lies about.
      if (attempt === 1) metrics.jobWait.observe({ queue, job }, waitedMs / 1_000);
    }),
    telemetry.on('job_finished', ({ queue, job, outcome, ms }) => {
      metrics.jobsFinished.inc({ queue, job, outcome });
      metrics.jobDuration.observe({ queue, job }, ms / 1_000);
    }),
    telemetry.on('job_stalled', ({ queue }) => metrics.jobStalled.inc({ queue })),
    telemetry.on('events_offered', ({ events }) => metrics.eventsOffered.inc(events)),
    telemetry.on('run_members', ({ kind, members }) => metrics.runMembers.inc({ kind }, members)),
    telemetry.on('run_ended', ({ kind, outcome, ms }) => metrics.runDuration.observe({ kind, outcome }, ms / 1_000)),
    telemetry.on('zoom_request', ({ endpoint, status, ms, retryAfterMs }) => {
      metrics.zoomRequests.inc({ endpoint, status_class: statusClass(status) });
      metrics.zoomRequestDuration.observe({ endpoint }, ms / 1_000);
      if (status === 429 && retryAfterMs !== null) metrics.zoomLimited.inc(retryAfterMs / 1_000);
    }),
    telemetry.on('grant', ({ type, reason }) => {
      const outcome = type === 'grant_dead' && reason === 'refresh_lost' ? 'lost' : refreshOutcome[type];
      if (outcome !== undefined) metrics.tokenRefresh.inc({ outcome });
    }),
    telemetry.on('webhook', ({ app, outcome }) => metrics.webhooks.inc({ app, outcome })),
    telemetry.on('meeting', ({ action, outcome, ms }) => {
      metrics.meetings.inc({ action, outcome });
      metrics.meetingDuration.observe({ action }, ms / 1_000);
    }),
  ];
  return () => {
    for (const off of offs) off();
  };
}
