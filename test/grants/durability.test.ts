import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { advanceClock, fileOne, grantRow, playGrants } from './setting.ts';

const database = useDatabase();

test('attempts, pairs and judgements are committed synchronously and wait for no lock for long, whatever the database does by itself', async () => {
  const { db } = database;
  await sql`create table public.commits (what text, setting text)`.execute(db);
  await sql`
    create function public.note_commit() returns trigger language plpgsql as $$
    begin
      insert into public.commits values (tg_table_name || ' ' || lower(tg_op), current_setting('synchronous_commit') || ' ' || current_setting('lock_timeout'));
      return null;
    end $$`.execute(db);
  await sql`create trigger note_grant after insert or update of version, state on steward.grants
            for each row execute function public.note_commit()`.execute(db);
  await sql`create trigger note_attempt after insert on steward.refresh_attempts
            for each row execute function public.note_commit()`.execute(db);
  const { rows: names } = await sql<{ name: string }>`select current_database() as name`.execute(db);
  await sql`alter database ${sql.id(names[0]?.name ?? '')} set synchronous_commit = off`.execute(db);

  const careless = database.another();
  const { rows: setting } = await sql<{ it: string }>`select current_setting('synchronous_commit') as it`.execute(
    careless,
  );
  expect(setting).toEqual([{ it: 'off' }]);
  const { grantId } = await fileOne(careless);
  const { grants, zoom } = playGrants(careless);
  expect((await grants.accessToken(grantId)).kind).toBe('token');
  for (let looks = 0; looks < 2; looks += 1) {
    zoom.script.push(() => ({ kind: 'grant', code: 'invalid_grant', detail: '' }));
    await advanceClock(db, 2 * 3600_000);
    await grants.accessToken(grantId);
  }
  expect(await grantRow(db, grantId)).toMatchObject({ state: 'dead', version: 2 });
  const { rows } = await sql<{ what: string; setting: string; times: number }>`
    select what, setting, count(*)::int as times from public.commits group by 1, 2 order by 1`.execute(db);
  expect(rows).toEqual([
    { what: 'grants insert', setting: 'on 0', times: 1 },
    { what: 'grants update', setting: 'on 8s', times: 3 },
    { what: 'refresh_attempts insert', setting: 'on 8s', times: 3 },
  ]);
});
