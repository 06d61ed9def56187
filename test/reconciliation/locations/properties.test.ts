import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { acceptRestore } from '../../../src/reconciliation/locations-restore.ts';
import { useDatabase } from '../../support/database.ts';
import { createLocationWorld, type LocationWorld } from './location-world.ts';

const database = useDatabase();

// Postgres has no text with U+0000 or half a surrogate pair; everything else may be in there.
const jsonText = fc.oneof(
  fc
    .jsonValue({ stringUnit: 'grapheme', maxDepth: 2 })
    .map((value) => JSON.stringify(value))
    .filter((text) => !/\\u0000|\\ud[89a-f]/i.test(text)),
  fc.constantFrom('1.0', '1.00', '1e2', '-0.0', '12345678901234567890.10', '"\\u001f"', '{"kind": "zoom_conference"}'),
);

const location = fc.record({
  kind: fc.oneof(
    { arbitrary: fc.constant('zoom_conference'), weight: 2 },
    fc.constantFrom('physical', 'outbound_call', 'custom', 'ask_invitee'),
  ),
  details: jsonText,
  /** rows: several at one place and gaps; json: some elements are no locations at all */
  place: fc.integer({ min: 0, max: 4 }),
  odd: fc.boolean(),
});

const eventType = fc.record({
  locations: fc.array(location, { maxLength: 5 }),
  host: fc.constantFrom('plain', 'personal', 'inactive'),
  edit: fc.constantFrom('none', 'none', 'none', 'touch', 'add', 'drop', 'zoom'),
});

const worldSpec = fc.record({
  eventTypes: fc.array(eventType, { minLength: 1, maxLength: 8 }),
  fallback: fc.constantFrom(undefined, { kind: 'physical', details: { address: 'Lobby' } }, { kind: 'custom' }),
  cause: fc.constantFrom('person' as const, 'deadline' as const),
  limit: fc.integer({ min: 2, max: 8 }),
});

type EventTypeFacts = { locations: string[]; rows: string[]; row: string; hasZoom: boolean };

/** Every event type: bytes of its locations in order; rows of the others with their writer; its own row with its writer. */
async function lookAt(w: LocationWorld): Promise<Map<string, EventTypeFacts>> {
  const list =
    w.adapter === 'rows'
      ? sql`select coalesce(array_agg(row(l.*)::text order by position, l.id), '{}') as locations,
                   coalesce(array_agg(l.xmin::text || l.ctid::text || l.id order by position, l.id) filter (where l.kind <> 'zoom_conference'), '{}') as rows,
                   coalesce(bool_or(l.kind = 'zoom_conference'), false) as "hasZoom"
              from steward_app.locations l where l.event_type_id = e.id`
      : sql`select coalesce(array_agg(element::text order by place), '{}') as locations,
                   coalesce(array_agg(element::text order by place) filter (where element ->> 'kind' is distinct from 'zoom_conference'), '{}') as rows,
                   coalesce(bool_or(element ->> 'kind' = 'zoom_conference'), false) as "hasZoom"
              from jsonb_array_elements(e.locations) with ordinality as a (element, place)`;
  const { rows } = await sql<EventTypeFacts & { id: string }>`
    select e.id, l.*, row(e.organization_id, e.kind, e.host_member_id, e.title, e.created_at, e.updated_at)::text || e.xmin || e.ctid as row
      from steward_app.event_types e cross join lateral (${list}) l where e.organization_id = ${w.organizationId}`.execute(
    w.db,
  );
  return new Map(rows.map(({ id, ...facts }) => [id, facts]));
}

/** Every row the engine could write, with its writer: equal before and after means nothing was written. */
async function everything(w: LocationWorld): Promise<unknown> {
  const { rows } = await sql`
    select (select array_agg(xmin::text || ctid order by id) from steward_app.event_types where organization_id = ${w.organizationId}) as a,
           (select array_agg(xmin::text || ctid order by id) from steward_app.locations where organization_id = ${w.organizationId}) as b,
           (select array_agg(xmin::text || ctid order by id) from steward.archived_locations where organization_id = ${w.organizationId}) as c,
           (select array_agg(xmin::text order by event_type_id) from steward.event_type_flags where organization_id = ${w.organizationId}) as d,
           (select count(*) from steward.events where organization_id = ${w.organizationId}) as e`.execute(w.db);
  return rows;
}

async function fill(
  w: LocationWorld,
  spec: (typeof worldSpec extends fc.Arbitrary<infer T> ? T : never)['eventTypes'],
) {
  const hosts = {
    plain: await w.addMember(),
    personal: await w.addMember({ personal: 'connected' }),
    inactive: await w.addMember(),
  };
  const ids = spec.map(() => randomUUID());
  const element = ({ kind, details, odd }: (typeof spec)[number]['locations'][number]) =>
    odd && kind !== 'zoom_conference' ? details : `{"kind": "${kind}", "details": ${details}}`;
  await sql`
    insert into steward_app.event_types (id, organization_id, kind, host_member_id, title, locations)
    select id, ${w.organizationId}, 'solo', host, 'T', locations::jsonb
      from unnest(${ids}::uuid[], ${spec.map(({ host }) => hosts[host])}::uuid[],
                  ${spec.map(({ locations }) => (w.adapter === 'json' ? `[${locations.map(element).join()}]` : null))}::text[]) as e (id, host, locations)`.execute(
    w.db,
  );
  if (w.adapter === 'rows') {
    const all = spec.flatMap(({ locations }, i) => locations.map((l) => ({ ...l, id: ids[i] as string })));
    await sql`
      insert into steward_app.locations (id, event_type_id, organization_id, position, kind, details)
      select gen_random_uuid(), e, ${w.organizationId}, place, kind, details::jsonb
        from unnest(${all.map(({ id }) => id)}::uuid[], ${all.map(({ place }) => place)}::int[], ${all.map(({ kind }) => kind)}::text[],
                    ${all.map(({ details }) => details)}::text[]) as l (e, place, kind, details)`.execute(w.db);
  }
  return { hosts, ids };
}

/** What the main app's people do between removal and return. */
async function edit(w: LocationWorld, id: string, what: 'touch' | 'add' | 'drop' | 'zoom'): Promise<void> {
  const kind = what === 'zoom' ? 'zoom_conference' : 'custom';
  if (w.adapter === 'json') {
    const change = {
      touch: sql`'[{"kind": "custom", "touched": true}]'::jsonb`,
      drop: sql`'[{"kind": "custom", "instead": true}]'::jsonb`,
      add: sql`locations || '[{"kind": "custom"}]'`,
      zoom: sql`locations || '[{"kind": "zoom_conference", "new": 1}]'`,
    }[what];
    await sql`update steward_app.event_types set locations = ${change} where id = ${id}`.execute(w.db);
    return;
  }
  const touched =
    what === 'touch'
      ? await sql`update steward_app.locations set updated_at = clock_timestamp() where event_type_id = ${id}`.execute(
          w.db,
        )
      : what === 'drop'
        ? await sql`delete from steward_app.locations where event_type_id = ${id}`.execute(w.db)
        : undefined;
  if (touched !== undefined && (touched.numAffectedRows ?? 0n) > 0n) return;
  await sql`insert into steward_app.locations (id, event_type_id, organization_id, position, kind)
            values (gen_random_uuid(), ${id}, ${w.organizationId}, 3, ${kind})`.execute(w.db);
}

describe.each(['rows', 'json'] as const)('%s', (adapter) => {
  test('whatever the locations: removal takes Zoom and nothing else, and what nobody edited returns to the byte', async () => {
    await fc.assert(
      fc.asyncProperty(worldSpec, async ({ eventTypes, fallback, cause, limit }) => {
        const w = await createLocationWorld(database.db, adapter);
        await w.setSettings({ fallback });
        const { ids } = await fill(w, eventTypes);
        const start = await lookAt(w);
        const taken = (i: number) =>
          start.get(ids[i] as string)?.hasZoom === true && eventTypes[i]?.host !== 'personal';

        await w.setConnection({ state: 'disconnecting', cause });
        await w.reconcile(limit);
        const without = await lookAt(w);
        for (const [i, id] of ids.entries()) {
          const [before, after] = [start.get(id) as EventTypeFacts, without.get(id) as EventTypeFacts];
          if (!taken(i)) expect(after).toEqual(before);
          else {
            expect(after.hasZoom).toBe(false);
            expect(after.rows).toHaveLength(before.rows.length + (before.rows.length === 0 && fallback ? 1 : 0));
            if (before.rows.length > 0) expect(after.rows).toEqual(before.rows);
          }
        }
        let same = await everything(w);
        await w.reconcile(limit);
        expect(await everything(w)).toEqual(same);

        const edited = (i: number) => eventTypes[i]?.edit !== 'none';
        for (const [i, id] of ids.entries()) {
          const what = eventTypes[i]?.edit ?? 'none';
          if (what !== 'none') await edit(w, id, what);
        }
        const withEdits = await lookAt(w);
        await w.setConnection({ state: 'active', cause });
        if (cause === 'person') {
          same = await lookAt(w);
          await w.reconcile(limit);
          expect(await lookAt(w)).toEqual(same);
          await w.db
            .transaction()
            .execute((trx) => acceptRestore(trx, { organizationId: w.organizationId, actor: 'operator:test' }));
        }
        await w.reconcile(limit);
        const end = await lookAt(w);
        for (const [i, id] of ids.entries()) {
          const [after, before] = [
            end.get(id) as EventTypeFacts,
            (edited(i) ? withEdits : start).get(id) as EventTypeFacts,
          ];
          if (edited(i) || !taken(i)) expect(after).toEqual(before);
          else {
            expect(after.locations).toEqual(before.locations);
            expect(after.rows).toEqual(before.rows);
          }
        }
        same = await everything(w);
        await w.reconcile(limit);
        expect(await everything(w)).toEqual(same);
      }),
      { numRuns: 15 },
    );
  }, 60_000);
});
