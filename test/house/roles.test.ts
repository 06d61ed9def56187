import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createDatabase } from '../../src/db/database.ts';
import { migrate, migrateReferenceApp } from '../../src/db/migrate.ts';

const suffix = randomUUID().slice(0, 8);
const name = `roles_${suffix}`;
const logins = {
  owner: `owner_${suffix}`,
  worker: `worker_${suffix}`,
  app: `app_${suffix}`,
  stranger: `stranger_${suffix}`,
};
const clients: pg.Client[] = [];

const urlFor = (login: string): string => {
  const url = new URL(inject('postgresUrl'));
  url.username = login;
  url.password = 'x';
  url.pathname = `/${name}`;
  return url.href;
};

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  clients.push(client);
  return client;
}

let worker: pg.Client;
let app: pg.Client;
let stranger: pg.Client;
const admin = { query: (_: string): Promise<unknown> => Promise.resolve() };

// An installation as an administrator makes it: the owner may neither create roles nor is a superuser.
beforeAll(async () => {
  const server = await connect(inject('postgresUrl'));
  admin.query = (text) => server.query(text);
  for (const login of Object.values(logins)) await admin.query(`create role ${login} login password 'x'`);
  await admin.query(`grant steward_worker to ${logins.worker}`);
  await admin.query(`grant steward_app to ${logins.app}`);
  await admin.query(`create database ${name} owner ${logins.owner}`);
  const db = createDatabase({ url: urlFor(logins.owner), max: 2 });
  await migrateReferenceApp(db);
  await migrate(db);
  await db.destroy();
  [worker, app, stranger] = (await Promise.all(
    [logins.worker, logins.app, logins.stranger].map((login) => connect(urlFor(login))),
  )) as [pg.Client, pg.Client, pg.Client];
});

afterAll(async () => {
  await Promise.all(clients.slice(1).map((client) => client.end()));
  await admin.query(`drop database if exists ${name} with (force)`);
  for (const login of Object.values(logins)) await admin.query(`drop role if exists ${login}`);
  await clients[0]?.end();
});

const denied = { code: '42501' };

test('the app says "look at X" and that is all it may do in steward', async () => {
  const id = randomUUID();
  await app.query(`select steward.changed('member', $1)`, [id]);
  const { rows } = await worker.query('select key from steward.outbox');
  expect(rows).toEqual([{ key: id }]);
  const { rows: tables } = await app.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c where c.relnamespace = 'steward'::regnamespace and c.relkind = 'r'
        and has_table_privilege(c.oid, 'select, insert, update, delete, truncate')`,
  );
  expect(tables).toEqual([]);
  for (const table of ['grants', 'outbox', 'connect_links'])
    await expect(app.query(`select * from steward.${table}`)).rejects.toMatchObject(denied);
});

test('functions that write run for the app only where they are meant to', async () => {
  const { rows } = await app.query<{ name: string }>(
    `select distinct p.proname as name from pg_proc p
      where p.pronamespace = 'steward'::regnamespace and has_function_privilege(p.oid, 'execute')`,
  );
  expect(rows.map((row) => row.name).sort()).toEqual([
    // what the index on members calls in the name of whoever writes a member
    'address_key',
    'address_key_unicode',
    'changed',
    'event_type_hosting',
    'events_taken',
    'read_events',
    'read_events_taken',
    'resolve_member',
  ]);
});

test('the app asks who hosts and reads the views, without any right on what they read', async () => {
  const nobody = randomUUID();
  const { rows } = await app.query('select reason from steward.resolve_member($1)', [nobody]);
  expect(rows).toEqual([{ reason: 'member_inactive' }]);
  await app.query('select * from steward.event_type_hosting($1)', [nobody]);
  const { rows: views } = await app.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c
      where c.relnamespace = 'steward'::regnamespace and c.relkind = 'v' and has_table_privilege(c.oid, 'select') order by 1`,
  );
  expect(views.map((view) => view.name)).toEqual([
    'steward.read_connections',
    'steward.read_event_types_without_location',
    'steward.read_members',
  ]);
  for (const { name } of views) await app.query(`select * from ${name}`);
});

test('the app reads what it is told and says what it has taken', async () => {
  const organizationId = randomUUID();
  await worker.query(
    `insert into steward.events (organization_id, type, created_at) values ($1, 'connection.activated', steward.now())`,
    [organizationId],
  );
  await worker.query('select steward.sequence_events()');
  const { rows } = await app.query('select "position", type from steward.read_events()');
  expect(rows).toEqual([{ position: expect.any(String), type: 'connection.activated' }]);
  await app.query('select steward.events_taken($1)', [rows[0].position]);
  expect((await app.query('select * from steward.read_events()')).rows).toEqual([]);
  await expect(app.query('select steward.sequence_events()')).rejects.toMatchObject(denied);
});

test('a security definer function has a fixed search path', async () => {
  const { rows } = await worker.query(
    `select p.proname from pg_proc p where p.pronamespace = 'steward'::regnamespace and p.prosecdef
        and not exists (select from unnest(p.proconfig) c where c like 'search_path=%')`,
  );
  expect(rows).toEqual([]);
});

test('the worker writes locations and the detached mark of the main app, and nothing else of it', async () => {
  const { rows } = await worker.query<{ what: string }>(
    `select table_name || '.' || column_name || ' ' || lower(privilege_type) as what
       from information_schema.column_privileges
      where table_schema = 'steward_app' and grantee = 'steward_worker' and privilege_type in ('INSERT', 'UPDATE')
        and table_name <> 'locations' order by 1`,
  );
  expect(rows.map((row) => row.what)).toEqual(['bookings.detached_at update', 'event_types.locations update']);
  await worker.query('select * from steward_app.locations for update');
  await expect(worker.query(`update steward_app.members set role = 'owner'`)).rejects.toMatchObject(denied);
  await expect(worker.query('delete from steward_app.event_types')).rejects.toMatchObject(denied);
  await expect(worker.query('create table steward.mine (id int)')).rejects.toMatchObject(denied);
});

test('a login that is in no role of ours gets nothing', async () => {
  await expect(stranger.query(`select steward.changed('member', $1)`, [randomUUID()])).rejects.toMatchObject(denied);
  await expect(stranger.query('select steward.now()')).rejects.toMatchObject(denied);
});
