import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { useDatabase } from '../../support/database.ts';
import { createLocationWorld } from './location-world.ts';

const database = useDatabase();

const zoomText = '{"kind": "zoom_conference"}';

async function throughDisconnect(locations: string | null) {
  const w = await createLocationWorld(database.db, 'json');
  const id = await w.addEventType({ host: await w.addMember(), locations: [] });
  await sql`update steward_app.event_types set locations = ${locations}::jsonb where id = ${id}`.execute(w.db);
  const look = async () => {
    const { rows } = await sql<{ text: string | null; row: string }>`
      select locations::text as text, xmin::text || ctid::text as row from steward_app.event_types where id = ${id}`.execute(
      w.db,
    );
    return rows[0] as { text: string | null; row: string };
  };
  const before = await look();
  await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
  const removed = await w.reconcile();
  const without = await look();
  await w.setConnection({ state: 'active' });
  const restored = await w.reconcile();
  return { before, removed, without, restored, after: await look(), flagged: await w.isFlagged(id) };
}

test.each([
  null,
  'null',
  '{}',
  zoomText,
  '"zoom_conference"',
  '7',
  '[]',
  '[null]',
  '[["zoom_conference"]]',
  `[[${zoomText}]]`,
  '["zoom_conference", 1, true, {}]',
  '[{"kind": null}, {"kind": "Zoom_conference"}, {"kind": ["zoom_conference"]}, {"type": "zoom_conference"}]',
  '[{"nested": {"kind": "zoom_conference"}}]',
])('%s has no Zoom location: the row is not written', async (locations) => {
  const { before, removed, after, restored, flagged } = await throughDisconnect(locations);
  expect([removed.removed, restored.restored, flagged]).toEqual([0, 0, false]);
  expect(after).toEqual(before);
});

test.each([
  [`[${zoomText}]`, '[]'],
  [`[${zoomText}, ${zoomText}]`, '[]'],
  [`[null, ${zoomText}, 1.0, 1, "zoom_conference"]`, '[null, 1.0, 1, "zoom_conference"]'],
  [
    `[{"a": 1.00, "b": 1e3, "kind": "physical"}, ${zoomText}, {"kind": "physical", "a": 1.00, "b": 1e3}]`,
    '[{"a": 1.00, "b": 1000, "kind": "physical"}, {"a": 1.00, "b": 1000, "kind": "physical"}]',
  ],
  [
    `[${zoomText}, {"kind": "custom", "text": "Ω é \\" \\\\ \\u001f 🙂"}, ${zoomText}]`,
    '[{"kind": "custom", "text": "Ω é \\" \\\\ \\u001f 🙂"}]',
  ],
  [`[{}, [], ${zoomText}, [${zoomText}], {"kind": 5}]`, `[{}, [], [${zoomText}], {"kind": 5}]`],
  [
    '[{"kind": "zoom_conference", "pin": 12345678901234567890.10, "x": {"y": [1.0, {"z": null}]}}, {"kind": "physical"}]',
    '[{"kind": "physical"}]',
  ],
])('%s loses only Zoom, and gets it back exactly', async (locations, expected) => {
  const { before, removed, without, restored, after } = await throughDisconnect(locations);
  expect(removed.removed).toBeGreaterThan(0);
  expect(without.text).toBe(expected);
  expect(restored.restored).toBe(removed.removed);
  expect(after.text).toBe(before.text);
});

test('a rewrite that only looks the same is an edit: 1.0 is not 1', async () => {
  const w = await createLocationWorld(database.db, 'json');
  const id = await w.addEventType({ host: await w.addMember(), locations: [] });
  await sql`update steward_app.event_types set locations = '[{"kind": "zoom_conference"}, {"kind": "custom", "n": 1.0}]' where id = ${id}`.execute(
    w.db,
  );
  await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
  await w.reconcile();
  await sql`update steward_app.event_types set locations = '[{"kind": "custom", "n": 1}]' where id = ${id}`.execute(
    w.db,
  );
  await w.setConnection({ state: 'active' });
  expect(await w.reconcile()).toMatchObject({ restored: 0 });
});

test('an empty list that became null is an edit', async () => {
  const w = await createLocationWorld(database.db, 'json');
  const id = await w.addEventType({ host: await w.addMember(), locations: [{ kind: 'zoom_conference' }] });
  await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
  await w.reconcile();
  await sql`update steward_app.event_types set locations = null where id = ${id}`.execute(w.db);
  await w.setConnection({ state: 'active' });
  expect(await w.reconcile()).toMatchObject({ restored: 0 });
});
