import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Every name begins with it. */
const prefix = 'zoom_steward_';

const secondsOfWork = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300];
const secondsOfWaiting = [0.005, 0.02, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200];
const secondsOfRuns = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 14_400];

/**
 * The numbers of this process and, where a gauge says so, of the whole installation (docs/operating.md). Base units, no
 * label that grows with customers.
 */
export function createMetricList(registry: Registry) {
  const shared = (name: string, help: string, labelNames: readonly string[]) => ({
    name: prefix + name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
  });
  const counter = (name: string, help: string, ...labels: string[]) => new Counter(shared(name, help, labels));
  const gauge = (name: string, help: string, ...labels: string[]) => new Gauge(shared(name, help, labels));
  const histogram = (name: string, help: string, buckets: number[], ...labels: string[]) =>
    new Histogram({ ...shared(name, help, labels), buckets });
  return {
    jobsStarted: counter('jobs_started_total', 'Jobs that this process began.', 'queue', 'job'),
    jobsFinished: counter(
      'jobs_finished_total',
      'Jobs that ended here: done, cancelled, snoozed, retried, failed, invalid, shutdown.',
      'queue',
      'job',
      'outcome',
    ),
    jobDuration: histogram(
      'job_duration_seconds',
      'From the beginning of a job to its end.',
      secondsOfWork,
      'queue',
      'job',
    ),
    jobWait: histogram(
      'job_wait_seconds',
      'From when a job could run to when it did.',
      secondsOfWaiting,
      'queue',
      'job',
    ),
    jobStalled: counter('job_stalled_total', 'Jobs whose worker was gone or blocked, found by this process.', 'queue'),
    queueDepth: gauge(
      'queue_depth',
      'Installation: jobs in the queue: waiting, active, delayed, failed (dead letters).',
      'queue',
      'state',
    ),
    queueOldestAge: gauge(
      'queue_oldest_age_seconds',
      'Installation: for how long the oldest waiting job waits.',
      'queue',
    ),
    outboxUnsent: gauge('outbox_unsent', 'Installation: messages that are due and not in the queue yet.'),
    outboxOldestAge: gauge(
      'outbox_oldest_age_seconds',
      'Installation: for how long the oldest of them has been due; 0 without one.',
    ),
    eventsUntaken: gauge(
      'events_untaken',
      'Installation: events that the main app has not taken; 10,000 stands for that many or more.',
    ),
    eventsOldestAge: gauge(
      'events_oldest_age_seconds',
      'Installation: for how long the oldest of them, or of a mass change without positions, has waited; 0 without one.',
    ),
    eventsOffered: counter('events_offered_total', "Events that this process put on the main app's queue."),
    runMembers: counter(
      'run_members_total',
      'Members that runs looked at in this process. Kind: organization, cascade, member.',
      'kind',
    ),
    runDuration: histogram(
      'run_duration_seconds',
      'Runs that ended in this process, from their first chunk. Kind: organization, cascade, member, event_type.',
      secondsOfRuns,
      'kind',
      'outcome',
    ),
    driftMembers: gauge(
      'drift_members',
      'Installation: stored results that the newest finished look at each organization, at most 25 h ago, found wrong and wrote.',
      'category',
    ),
    zoomRequests: counter(
      'zoom_requests_total',
      'Requests to Zoom; status_class none: no answer.',
      'endpoint',
      'status_class',
    ),
    zoomRequestDuration: histogram(
      'zoom_request_duration_seconds',
      'Requests to Zoom, to the end of the answer.',
      secondsOfWork,
      'endpoint',
    ),
    zoomLimited: counter('zoom_limited_seconds_total', 'Seconds that Zoom asked this process to wait (429).'),
    tokenRefresh: counter(
      'token_refresh_total',
      'Refreshes by outcome: rotated, not_sent, refused, unknown; lost: a grant died of an answer that never came.',
      'outcome',
    ),
    connections: gauge('connections', 'Installation: org connections by state.', 'state'),
    verifyAge: gauge(
      'verify_age_seconds',
      'Installation, living connections: since the newest and the oldest verification; overdue: for how long the most delayed one has been due.',
      'which',
    ),
    switches: gauge(
      'switches',
      'Installation: operator switches, 1 is on. pause_declaring is also the fleet guard.',
      'switch',
    ),
    applicationsRefused: gauge(
      'applications_refused',
      'Installation: client ids that Zoom refuses: app disabled, secret wrong.',
    ),
    grantsUnreadable: gauge(
      'grants_unreadable',
      'Installation: grants sealed with a key that this process does not have.',
    ),
    runsStuck: gauge('runs_stuck', 'Installation: open runs whose heartbeat stopped more than two minutes ago.'),
    webhooks: counter(
      'webhooks_total',
      'Webhooks that came to this process: taken, repeated, dropped, unreadable, validated, refused, signing_attempt, off, failed.',
      'app',
      'outcome',
    ),
    meetings: counter(
      'meetings_total',
      'Meetings asked of this process: done, the code of the refusal, or internal.',
      'action',
      'outcome',
    ),
    meetingDuration: histogram(
      'meeting_duration_seconds',
      'Calls about meetings, done or refused, from the request to the answer.',
      secondsOfWork,
      'action',
    ),
  };
}

export type MetricList = ReturnType<typeof createMetricList>;
