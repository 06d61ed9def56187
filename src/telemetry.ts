/** What happens in this process, by name: logs, metrics and traces subscribe; nobody else listens. */
export type TelemetryEvents = {
  job_started: { queue: string; job: string; jobId: string; key: string; attempt: number; waitedMs: number };
  job_finished: {
    queue: string;
    job: string;
    jobId: string;
    key: string;
    outcome: 'done' | 'cancelled' | 'snoozed' | 'retried' | 'failed' | 'invalid' | 'shutdown';
    ms: number;
    detail?: string;
  };
  job_stalled: { queue: string; jobId: string };
  queue_error: { queue: string; code: string; detail: string };
  outbox_moved: { messages: number; jobs: number; ms: number };
  outbox_delayed: { messages: number; code: string; detail: string };
  /** batches of events that were put on the main app's queue */
  events_offered: { organizations: number; events: number; ms: number };
  events_delayed: { code: string; detail: string };
  listener_lost: { detail: string };
  listener_ready: { afterMs: number };
  worker_state: { state: 'starting' | 'ready' | 'quiet' | 'draining' | 'aborting' | 'stopped'; detail?: string };
  /** one request to Zoom: no path, no id, no token (src/zoom/request-event.ts) */
  zoom_request: { endpoint: string; outcome: string; status: number | null; ms: number; retryAfterMs: number | null };
  /** what happened to a grant (src/grants/grant-events.ts) */
  grant: { grantId: string; type: string; reason?: string };
  /** members that a slice looked at; kind: organization, cascade, member */
  run_members: { kind: string; members: number };
  /** a run came to its end in this process */
  run_ended: { kind: string; outcome: string; ms: number };
  /** a chunk of a run's second lane was rolled back; runs of this process go on with one lane for a while */
  second_lane_failed: { code: string; detail: string };
  /** what became of a meeting, or of credentials, that the main app asked for: done, the refusal's code, or internal */
  meeting: { action: 'create' | 'update' | 'delete' | 'credentials'; outcome: string; ms: number };
  /** what became of a webhook; event is null unless its signature was good and it is of use */
  webhook: { app: 'admin' | 'personal'; event: string | null; outcome: string; ms: number };
  /** jobs wait, slots are free, nothing is paused, and nothing starts: the process ends itself */
  worker_wedged: { queue: string; waiting: number; active: number; slots: number; idleMs: number };
  upkeep: { task: string; found: number; failed?: string };
};

export type TelemetryEventName = keyof TelemetryEvents;
type Listener<Name extends TelemetryEventName> = (event: TelemetryEvents[Name]) => void;

export type Telemetry = {
  /** Tells every listener. Never throws: a broken listener must not break what it watches. */
  emit<Name extends TelemetryEventName>(name: Name, event: TelemetryEvents[Name]): void;
  /** Listens until the returned function is called. */
  on<Name extends TelemetryEventName>(name: Name, listener: Listener<Name>): () => void;
  /** Listens to everything, for logs and tests. */
  onAny(listener: (name: TelemetryEventName, event: TelemetryEvents[TelemetryEventName]) => void): () => void;
};

/** One typed event map for a process (or a test). */
export function createTelemetry(): Telemetry {
  const listeners = new Map<TelemetryEventName, Set<(event: never) => void>>();
  const listenersToAny = new Set<(name: TelemetryEventName, event: never) => void>();
  const quietly = (work: () => void): void => {
    try {
      work();
    } catch {
      // There is nobody to tell: telling is what failed.
    }
  };
  return {
    emit(name, event) {
      for (const listener of listeners.get(name) ?? []) quietly(() => listener(event as never));
      for (const listener of listenersToAny) quietly(() => listener(name, event as never));
    },
    on(name, listener) {
      const set = listeners.get(name) ?? new Set();
      listeners.set(name, set);
      set.add(listener as (event: never) => void);
      return () => set.delete(listener as (event: never) => void);
    },
    onAny(listener) {
      listenersToAny.add(listener as (name: TelemetryEventName, event: never) => void);
      return () => listenersToAny.delete(listener as (name: TelemetryEventName, event: never) => void);
    },
  };
}
