import pg from 'pg';

/**
 * Cal.com's shape of a disconnect (handleDeleteCredential): read the event types, then one awaited UPDATE
 * an event type that used Zoom, with its JSON locations without the Zoom entry. It keeps no copies, no
 * audit, no transaction, and looks at the organization's connection only. Event types without Zoom are
 * left alone here (Cal.com writes them too), so that it does not lose time it need not lose.
 */
export async function runUpdatePerEventType(input: {
  databaseUrl: string;
  organizationId: string;
  eventTypes: number;
}): Promise<{ name: string; seconds: number; members: number }> {
  const client = new pg.Client({ connectionString: input.databaseUrl });
  await client.connect();
  // Its own table, so that both sides start from the same data.
  await client.query(`
    drop table if exists rival_event_types;
    create table rival_event_types (id uuid primary key, organization_id uuid not null, locations jsonb not null, updated_at timestamptz not null default now())`);
  await client.query(
    `insert into rival_event_types (id, organization_id, locations)
     select e.id, e.organization_id, (select coalesce(jsonb_agg(l.details || jsonb_build_object('id', l.id, 'kind', l.kind) order by l.position), '[]')
                                        from steward_app.locations l where l.event_type_id = e.id)
       from steward_app.event_types e where e.organization_id = $1 order by e.id limit $2`,
    [input.organizationId, input.eventTypes],
  );
  await client.query('create index on rival_event_types (organization_id)');
  await client.query('vacuum analyze rival_event_types');
  const started = performance.now();
  const { rows } = await client.query<{ id: string; locations: { kind: string }[] }>(
    'select id, locations from rival_event_types where organization_id = $1',
    [input.organizationId],
  );
  for (const { id, locations } of rows) {
    const kept = locations.filter(({ kind }) => kind !== 'zoom_conference');
    if (kept.length === locations.length) continue;
    await client.query({
      name: 'rival-update',
      text: 'update rival_event_types set locations = $2, updated_at = now() where id = $1',
      values: [id, JSON.stringify(kept)],
    });
  }
  const seconds = (performance.now() - started) / 1000;
  await client.end();
  return { name: 'one awaited UPDATE an event type (no copies kept)', seconds, members: rows.length };
}
