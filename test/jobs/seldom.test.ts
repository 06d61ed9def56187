import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { beforeEach, expect, test } from 'vitest';
import { lookAtOrganization } from '../../src/jobs/contract/look-at-organization.ts';
import { seldom } from '../../src/jobs/upkeep/seldom.ts';
import { upkeepTasks } from '../../src/jobs/upkeep/tasks.ts';
import { useDatabase } from '../support/database.ts';
import { services } from './perform-job.ts';

const database = useDatabase();
beforeEach(async () => {
  for (const table of ['installation', 'events', 'runs', 'outbox', 'org_connections'])
    await sql`delete from ${sql.table(`steward.${table}`)}`.execute(database.db);
});

const pass = (time: string) =>
  sql`update steward.clock set offset_by = offset_by + ${time}::interval`.execute(database.db);

/** A scan that finds what `finds` says next, and how often it ran. */
function counting(finds: (number | Error)[] = []) {
  let ran = 0;
  const task = seldom('counting', 100, async () => {
    ran += 1;
    const found = finds.shift() ?? 0;
    if (found instanceof Error) throw found;
    return found;
  });
  return { tick: () => task(database.db, services()), ran: () => ran };
}

test('runs every five minutes at most, once for all processes', async () => {
  const { tick, ran } = counting();
  await Promise.all([tick(), tick(), tick(), tick()]);
  expect(ran()).toBe(1);
  await pass('4 minutes 59 seconds');
  expect([await tick(), ran()]).toEqual([{ found: 0 }, 1]);
  await pass('2 seconds');
  await Promise.all([tick(), tick()]);
  expect(ran()).toBe(2);
  // A restored database, or a clock put back: it does not wait for a time to come again.
  await pass('-2 days');
  await tick();
  expect(ran()).toBe(3);
});

test('runs again at once if it found as many as it takes, or failed', async () => {
  const { tick, ran } = counting([100, new Error('away'), 99]);
  expect(await tick()).toEqual({ found: 100 });
  await expect(tick()).rejects.toThrow('away');
  expect(await tick()).toEqual({ found: 99 });
  await tick();
  expect(ran()).toBe(3);
});

async function connected(): Promise<string> {
  const id = randomUUID();
  await sql`insert into steward_app.organizations (id, name) values (${id}, 'Acme')`.execute(database.db);
  await sql`
    insert into steward.org_connections (id, organization_id, state, created_at)
    values (gen_random_uuid(), ${id}, 'active', steward.now())`.execute(database.db);
  return id;
}
const change = (id: string, what: 'deleted_at' | 'plan_includes_zoom') =>
  sql`update steward_app.organizations set ${what === 'deleted_at' ? sql`deleted_at = now()` : sql`plan_includes_zoom = false`}
       where id = ${id}`.execute(database.db);
const state = async (id: string) =>
  await database.db
    .selectFrom('steward.org_connections')
    .select(['state', 'plan_ended_at'])
    .where('organization_id', '=', id)
    .executeTakeFirstOrThrow();

test('more deleted organizations than one go takes are ended by the ticks that follow', async () => {
  const gone = await Promise.all(Array.from({ length: 101 }, connected));
  await sql`update steward_app.organizations set deleted_at = now() where id = any(${gone})`.execute(database.db);
  const scan = async () => (await upkeepTasks['organizations_gone']!(database.db, services())).found;
  expect([await scan(), await scan(), await scan()]).toEqual([100, 1, 0]);
  const late = await connected();
  await change(late, 'deleted_at');
  expect(await scan()).toBe(0);
  await pass('5 minutes');
  expect(await scan()).toBe(1);
});

test('what is told does not wait for the scan: a deleted organization, a plan that ended', async () => {
  const [deleted, cheaper] = [await connected(), await connected()];
  for (const name of ['organizations_gone', 'plans_ended']) await upkeepTasks[name]!(database.db, services());
  await change(deleted, 'deleted_at');
  await change(cheaper, 'plan_includes_zoom');
  for (const id of [deleted, cheaper, cheaper]) await lookAtOrganization(database.db, id);
  expect((await state(deleted)).state).toBe('disconnecting');
  expect((await state(cheaper)).plan_ended_at).not.toBeNull();
  const told = await database.db
    .selectFrom('steward.events')
    .select('type')
    .where('organization_id', '=', cheaper)
    .execute();
  expect(told.filter(({ type }) => type.startsWith('connection.plan'))).toEqual([{ type: 'connection.plan_ended' }]);
});
