import { sql } from 'kysely';
import type { Database } from '../../../src/db/database.ts';

export type Row = Readonly<Record<string, unknown>>;

/** Inserts rows of equal shape in one statement; columns that are not named take their defaults. */
export async function insertRows(db: Database, table: string, rows: readonly Row[]): Promise<void> {
  const [first] = rows;
  if (!first) return;
  const columns = sql.join(Object.keys(first).map((name) => sql.ref(name)));
  await sql`
    insert into ${sql.table(table)} (${columns})
    select ${columns} from jsonb_populate_recordset(null::${sql.table(table)}, ${JSON.stringify(rows)}::jsonb)`.execute(
    db,
  );
}
