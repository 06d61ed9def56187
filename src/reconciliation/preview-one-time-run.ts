import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import type { LocationAdapter } from './locations-adapter.ts';
import { addPlanRow, type EventTypeKind, emptyPlanGroup, type LocationPlanGroup } from './locations-plan.ts';

/** What a one-time run would do with the event types that were there before the setting, or would if it were on. */
export type OneTimeRunPreview = {
  readonly organizationId: string;
  /** orders the run; an older one is refused as stale */
  readonly generation: number;
  /** get Zoom in first place */
  readonly added: LocationPlanGroup;
  /** have Zoom already: only noted, so that nobody who takes it out gets it again */
  readonly haveZoom: LocationPlanGroup;
  /** nobody can host: passed over, and a later one-time run may find them again */
  readonly nobodyCanHost: LocationPlanGroup;
  /** a removed Zoom location waits for its return: passed over */
  readonly waitForReturn: LocationPlanGroup;
};

const categories = {
  add: 'added',
  had: 'haveZoom',
  nobody: 'nobodyCanHost',
  copy: 'waitForReturn',
} as const satisfies Record<string, keyof OneTimeRunPreview>;

type Row = { category: keyof typeof categories; kind: EventTypeKind; eventTypes: number; examples: string[] };

/** Computes the preview in one snapshot and changes nothing. Of an organization without active Zoom nothing is added. */
export function previewOneTimeRun(
  db: Database,
  { organizationId, adapter }: { readonly organizationId: string; readonly adapter: LocationAdapter },
): Promise<OneTimeRunPreview> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (trx) => {
      const connection = await trx
        .selectFrom('steward.org_connections')
        .select('generation')
        .where('organization_id', '=', organizationId)
        .executeTakeFirst();
      const { rows } = await sql<Row>`
        select category, kind, event_types as "eventTypes", examples
          from steward.plan_zoom_starts(${organizationId}, ${adapter}, true)`.execute(trx);
      const groups = {
        added: emptyPlanGroup,
        haveZoom: emptyPlanGroup,
        nobodyCanHost: emptyPlanGroup,
        waitForReturn: emptyPlanGroup,
      };
      for (const row of rows) {
        const name = categories[row.category];
        groups[name] = addPlanRow(groups[name], { ...row, locations: name === 'added' ? row.eventTypes : 0 });
      }
      return { organizationId, generation: connection?.generation ?? 0, ...groups };
    });
}
