import { type Queryable, query } from './sql.ts';

/** Announcements of what the main app changed; `traceparent` says what trace they belong to, if any. */
export const createAnnouncements = (traceparent: (() => string | undefined) | undefined) => {
  const changed =
    (subject: string) =>
    async (trx: Queryable, id: string): Promise<void> => {
      const parent = traceparent?.();
      // In a sub-query that cannot be flattened, so that it is set before it is read.
      if (parent === undefined) await query(trx, 'select steward.changed($1, $2)', [subject, id]);
      else
        await query(
          trx,
          `with traced as materialized (select set_config('steward.traceparent', $3, true))
           select steward.changed($1, $2) from traced`,
          [subject, id, parent],
        );
    };
  return {
    /** Say it in the transaction that changes a member, their groups, opt-out or external personal connection. */
    memberChanged: changed('member'),
    /** Say it in the transaction that creates or changes an event type, its hosts or its locations. */
    eventTypeChanged: changed('event_type'),
    /** Say it in the transaction that changes an organization, its domains, plan, or deletes it. */
    organizationChanged: changed('organization'),
  };
};
