import { sql } from 'kysely';
import { checkSchema } from '../../queues/preflight.ts';
import { type Check, fail, ok, warn } from './finding.ts';

const oldestPostgresMajor = 15;
const smallSkewMs = 2_000;
const largeSkewMs = 30_000;

const database: Check = {
  name: 'database',
  needs: [],
  async look({ db }) {
    const found = await sql<{ version: string }>`select current_setting('server_version') as version`
      .execute(db)
      .catch((error: { code?: string; message: string }) => error);
    if (!('rows' in found))
      return fail(found.code ?? found.message, 'start Postgres, or correct DATABASE_URL: host, port, login, database');
    const version = found.rows[0]?.version ?? '';
    return Number.parseInt(version, 10) < oldestPostgresMajor
      ? fail(`Postgres ${version}`, `upgrade it to ${oldestPostgresMajor} or newer`)
      : ok(`Postgres ${version}`);
  },
};

const schema: Check = {
  name: 'schema',
  needs: ['database'],
  async look({ db }) {
    await checkSchema(db);
    return ok('of this release, functions and views included');
  },
};

type Rights = { login: string; lacking: string[]; app: boolean; worker: boolean; appMay: boolean };

const roles: Check = {
  name: 'roles',
  needs: ['schema'],
  async look({ db }) {
    const { rows } = await sql<Rights>`
      select current_user as login,
             (select coalesce(array_agg(what order by what), '{}') from (
                select format('%s %s.%s', lower(privilege), n.nspname, c.relname) as what
                  from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) privilege
                 where n.nspname = 'steward' and c.relkind = 'r' and not has_table_privilege(c.oid, privilege)
                union all
                select 'select steward_app.' || c.relname
                  from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where n.nspname = 'steward_app' and c.relkind in ('r', 'v', 'm', 'p') and not has_table_privilege(c.oid, 'SELECT')) w) as lacking,
             exists (select from pg_roles where rolname = 'steward_worker') as worker,
             exists (select from pg_roles where rolname = 'steward_app') as app,
             coalesce((select has_function_privilege(oid, 'steward.changed(text, uuid)', 'execute') from pg_roles where rolname = 'steward_app'), false) as "appMay"`.execute(
      db,
    );
    const { login, lacking, app, worker, appMay } = rows[0] as Rights;
    if (lacking.length > 0)
      return fail(
        `${login} may not: ${lacking.slice(0, 5).join(', ')}${lacking.length > 5 ? ` and ${lacking.length - 5} more` : ''}`,
        `grant steward_worker to ${login}, then run "zoom-steward migrate" as the owner; for steward_app.… its owner grants (docs/contracts/triggers.md)`,
      );
    if (!app || !worker || !appMay)
      return warn(
        !app || !worker
          ? 'the group roles steward_worker and steward_app are not both there'
          : 'steward_app may not execute steward.changed',
        'let an administrator make the roles (docs/contracts/triggers.md), then run "zoom-steward migrate"',
      );
    return ok(`${login} has what a worker needs; the main app's role may announce`);
  },
};

const mainAppRelations = [
  'organizations',
  'groups',
  'group_members',
  'members',
  'personal_connections',
  'event_types',
  'event_type_hosts',
  'bookings',
];

const mainApp: Check = {
  name: 'main app',
  needs: ['schema'],
  async look({ db, config }) {
    const wanted = [...mainAppRelations, ...(config?.locationAdapter === 'json' ? [] : ['locations'])];
    const { rows } = await sql<{ name: string }>`
      select name from unnest(${wanted}::text[]) name where to_regclass('steward_app.' || name) is null`.execute(db);
    return rows.length > 0
      ? fail(
          `steward_app lacks ${rows.map(({ name }) => name).join(', ')}`,
          'give the worker your tables, or views of them: docs/contracts/app-schema.md; to try things out: zoom-steward migrate --reference-app',
        )
      : ok(`all ${wanted.length} relations are there`);
  },
};

const membersIndex: Check = {
  name: 'members index',
  needs: ['schema'],
  async look({ db }) {
    const { rows } = await sql<{ kind: string; usable: boolean }>`
      select c.relkind as kind,
             exists (select from pg_index i
                      where i.indrelid = c.oid and i.indisvalid and pg_get_indexdef(i.indexrelid) like '%steward.address_key(%') as usable
        from pg_class c where c.oid = to_regclass('steward_app.members')`.execute(db);
    const [members] = rows;
    if (members?.usable) return ok('an address is found without reading every member');
    const statement =
      'create index concurrently members_address_key on steward_app.members (organization_id, steward.address_key(email)) where active and email_verified';
    return members?.kind === 'r'
      ? fail(
          'no valid index on the address key: asking for one member reads a whole organization',
          `as the owner of the table: ${statement}`,
        )
      : warn(
          'members is a view: an index on its table cannot be seen from here',
          `make sure that the table behind it has one: ${statement}`,
        );
  },
};

const clock: Check = {
  name: 'clock',
  needs: ['database'],
  async look({ db }) {
    const before = Date.now();
    const { rows } = await sql<{
      theirs: number;
    }>`select extract(epoch from clock_timestamp())::float8 * 1000 as theirs`.execute(db);
    const skew = Math.round((rows[0]?.theirs ?? 0) - (before + Date.now()) / 2);
    const found = `the database is ${Math.abs(skew)} ms ${skew < 0 ? 'behind' : 'ahead of'} this machine`;
    if (Math.abs(skew) < smallSkewMs) return ok(found);
    const mend =
      'let both machines follow a time server (chrony, systemd-timesyncd); claims are signed for 60 s at most';
    return Math.abs(skew) < largeSkewMs ? warn(found, mend) : fail(found, mend);
  },
};

const movedClock: Check = {
  name: 'moved clock',
  needs: ['schema'],
  async look({ db }) {
    const { rows } = await sql<{ moved: string; is: boolean }>`
      select offset_by::text as moved, offset_by <> interval '0' as is from steward.clock`.execute(db);
    return rows[0]?.is
      ? warn(
          `steward.now() is moved by ${rows[0].moved}`,
          'only demo and tests do that; in production: update steward.clock set offset_by = default',
        )
      : ok("steward.now() is the database's clock");
  },
};

/** Checks of the database and of what lives in it. */
export const databaseChecks: readonly Check[] = [database, schema, roles, mainApp, membersIndex, clock, movedClock];
