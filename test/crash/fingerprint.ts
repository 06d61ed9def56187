import { sql } from 'kysely';
import type { Database } from '../../src/db/database.ts';

/**
 * What must be equal after a life with kills and one without: every row that shows, without what differs by nature
 * (ids made at random, times). Told and recorded things are compared by what they say and how often.
 */
const parts: Readonly<Record<string, string>> = {
  facts: `select to_jsonb(f) - 'address_since' - 'organization_id' from steward.member_facts f`,
  results: `select to_jsonb(c) - 'changed_at' - 'run_id' - 'organization_id' from steward.member_connections c`,
  locations: `select to_jsonb(l) - 'organization_id' - (case when l.kind = 'ask_invitee' then array['id', 'created_at', 'updated_at'] else array['none'] end) from steward_app.locations l`,
  event_types: `select to_jsonb(e) - 'organization_id' - 'created_at' - 'updated_at' from steward_app.event_types e`,
  archives: `select jsonb_build_object('content', a.content - 'organization_id', 'place', a.place, 'cause', a.cause, 'offered', a.offered, 'generation', a.generation,
               'superseded', a.neighbours = 'superseded') from steward.archived_locations a`,
  flags: `select to_jsonb(f.event_type_id) from steward.event_type_flags f`,
  bookings: `select jsonb_build_object('id', b.id, 'detached', b.detached_at is not null, 'join_url', b.join_url) from steward_app.bookings b`,
  runs: `select jsonb_build_object('cause', r.cause, 'state', r.state, 'counts', r.counts) from steward.runs r where r.target = 'organization'`,
  events: `select jsonb_build_object('type', e.type, 'times', count(*)) from steward.events e where e.type not like 'connection.%' group by e.type`,
  audit: `select jsonb_build_object('action', a.action, 'times', count(*)) from steward.audit_log a where a.action like 'run.%' or a.action like 'locations.%' group by a.action`,
};

export type Fingerprint = Readonly<Record<string, { readonly rows: number; readonly md5: string }>>;

/** A digest of each part, in an order that depends on the content only. */
export async function takeFingerprint(db: Database): Promise<Fingerprint> {
  const taken: Record<string, { rows: number; md5: string }> = {};
  for (const [part, query] of Object.entries(parts)) {
    const { rows } = await sql
      .raw<{ rows: number; md5: string }>(
        `select count(*) as rows, coalesce(md5(string_agg(content::text, '' order by content::text collate "C")), '') as md5 from (${query}) as q (content)`,
      )
      .execute(db);
    taken[part] = rows[0] as { rows: number; md5: string };
  }
  return taken;
}

/** Names of the parts in which two lives differ. */
export function differences(one: Fingerprint, other: Fingerprint): string[] {
  return Object.keys(parts).filter((part) => one[part]?.md5 !== other[part]?.md5);
}
