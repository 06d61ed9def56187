import { type Queryable, query } from './sql.ts';

/** Types of events there are; docs/contracts/events.md says what each is about and what its data holds. */
export const eventTypes = [
  'connection.link_made_by_operator',
  'connection.link_passed',
  'connection.link_ended',
  'connection.link_reminder',
  'connection.approval_failed',
  'connection.confirmation_wanted',
  'connection.activated',
  'connection.account_shared',
  'connection.at_risk',
  'connection.interrupted',
  'connection.consent_aging',
  'connection.deadline_started',
  'connection.deadline_reminder',
  'connection.resumed',
  'connection.unverified',
  'connection.disconnecting',
  'connection.disconnected',
  'connection.grant_not_revoked',
  'connection.plan_ended',
  'connection.plan_deadline_started',
  'connection.plan_reminder',
  'connection.plan_resumed',
  'personal.active',
  'personal.broken',
  'personal.disconnected',
  'member.connection_changed',
  'members.connection_changed',
  'member.mapped',
  'members.mapped',
  'locations.removed',
  'locations.restored',
  'locations.added',
  'event_type.needs_location',
  'bookings.detached',
  'bookings.attached',
  'run.finished',
  'run.observed',
  'run.held',
] as const;

export type StewardEventType = (typeof eventTypes)[number];

export type StewardEvent = {
  /** cursor: grows, has gaps; of one organization in the order in which it happened */
  readonly position: number;
  readonly organizationId: string;
  /** one of eventTypes; a newer worker may tell others, which you may ignore */
  readonly type: StewardEventType | (string & {});
  /** what it is about: connection, member, owner, run; null: the organization */
  readonly subjectId: string | null;
  readonly data: Readonly<Record<string, unknown>>;
  /** when it happened, ISO 8601 */
  readonly at: string;
};

/** What is in a job of the queue `PREFIX-events`: the oldest events of one organization that were not taken. */
export type EventBatch = {
  readonly version: 1;
  readonly organizationId: string;
  readonly events: readonly StewardEvent[];
};

/** Name of the queue for a worker with this STEWARD_QUEUE_PREFIX. On Redis its key prefix is the same in curly brackets. */
export const eventQueueName = (prefix = 'steward'): string => `${prefix}-events`;

const isEvent = (value: unknown): value is StewardEvent => {
  const { position, organizationId, type, data, at } = (value ?? {}) as Record<string, unknown>;
  return (
    Number.isSafeInteger(position) &&
    typeof organizationId === 'string' &&
    typeof type === 'string' &&
    typeof data === 'object' &&
    data !== null &&
    typeof at === 'string'
  );
};

/**
 * The batch in a job's data.
 * @throws when it is not one of version 1: the job then fails, and nothing was taken
 */
export function parseEventBatch(data: unknown): EventBatch {
  const { version, organizationId, events } = (data ?? {}) as Record<string, unknown>;
  if (version !== 1)
    throw new Error(`Expected a batch of events of version 1, got ${String(version)}; update zoom-steward-client.`);
  if (typeof organizationId !== 'string' || !Array.isArray(events) || !events.every(isEvent))
    throw new Error('Expected a batch of events with organizationId and events, got something else.');
  return { version, organizationId, events };
}

type TakenRow = { readonly position: string | number };

/** What the main app does with events: read by cursor, or work on the queue, and say what it has taken. */
export function createEvents(db: Queryable) {
  /** Says that everything up to a position was taken, of one organization or of all. Deadlines run from here. */
  const taken = async (input: {
    readonly position: number;
    readonly organizationId?: string;
    /** the transaction in which you keep them: then nothing is taken twice or lost */
    readonly on?: Queryable;
  }): Promise<void> => {
    const values = [input.position, input.organizationId ?? null];
    await query(input.on ?? db, 'select steward.events_taken($1::bigint, $2::uuid)', values);
  };
  return {
    taken,

    /** Events after a position, or, without one, those you have not taken; oldest first, at most 1,000. */
    read: ({
      after,
      limit = 100,
      organizationId,
    }: {
      readonly after?: number;
      readonly limit?: number;
      readonly organizationId?: string;
    } = {}): Promise<StewardEvent[]> =>
      query<StewardEvent>(
        db,
        `select position::float8 as position, organization_id as "organizationId", type, subject_id as "subjectId", data,
                to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
           from steward.read_events($1::bigint, $2::integer, $3::uuid)`,
        [after ?? null, limit, organizationId ?? null],
      ),

    /**
     * The processor for a BullMQ worker of yours: hands over each event of a batch in order, leaves out what was taken
     * already, and says what was taken – also when a later one fails, which is then tried again. At least once: a crash
     * between your work and the saying brings an event again.
     */
    processor:
      (handle: (event: StewardEvent) => Promise<void>) =>
      async (job: { readonly data: unknown }): Promise<{ taken: number }> => {
        const { organizationId, events } = parseEventBatch(job.data);
        const rows = await query<TakenRow>(db, 'select steward.read_events_taken($1::uuid) as position', [
          organizationId,
        ]);
        const fresh = events.filter(({ position }) => position > Number(rows[0]?.position ?? 0));
        let last: number | undefined;
        try {
          for (const event of fresh) {
            await handle(event);
            last = event.position;
          }
        } finally {
          if (last !== undefined) await taken({ position: last, organizationId });
        }
        return { taken: fresh.length };
      },
  };
}
