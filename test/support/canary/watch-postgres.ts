import pg from 'pg';
import { watch } from './watch.ts';

type Statement = { readonly text?: unknown; readonly values?: readonly unknown[] };

function watchValue(value: unknown): void {
  if (typeof value === 'string' || value instanceof Uint8Array) watch('postgres statement', value);
  else if (typeof value === 'object' && value !== null) watch('postgres statement', JSON.stringify(value));
}

let watching = false;

/** From now on every statement of this process is watched, with its values: also of rows that are gone by the end. */
export function watchStatements(): void {
  if (watching) return;
  watching = true;
  const { query } = pg.Client.prototype;
  pg.Client.prototype.query = function watched(this: pg.Client, statement: string | Statement, ...rest: unknown[]) {
    const { text, values } = typeof statement === 'string' ? { text: statement, values: rest[0] } : statement;
    for (const value of [text, values].flat()) watchValue(value);
    return (query as (...args: unknown[]) => unknown).call(this, statement, ...rest);
  } as typeof query;
}

/** Bytes up to which a table is looked at whole; of larger ones, which tests fill by one statement, both ends. */
const wholeBytes = 4 * 1024 * 1024;

const search = `
  create or replace function pg_temp.all_rows() returns table (place text, lines text) language plpgsql as $$
  declare found record;
  begin
    for found in
      select c.oid::regclass as place, pg_relation_size(c.oid) as bytes,
             format('(%s,0)', greatest(pg_relation_size(c.oid) / 8192 - 64, 64)) as last
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')
         and pg_relation_size(c.oid) > 0
    loop
      return query execute case when found.bytes <= ${wholeBytes}
        then format('select %L, string_agg(t::text, chr(10)) from %s t', found.place, found.place)
        else format('select %1$L, string_agg(line, chr(10)) from
          (select t::text as line from %1$s t where ctid < ''(64,0)'' union all
           select t::text from %1$s t where ctid >= %2$L) lines', found.place, found.last) end;
    end loop;
  end $$`;

/** Looks at every row of every table. Nothing is left out: what the vault keeps is sealed, and so has no mark. */
export async function watchRows(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(search);
    const { rows } = await client.query<{ place: string; lines: string | null }>('select * from pg_temp.all_rows()');
    for (const { place, lines } of rows) {
      watch('postgres row', `${place}: ${lines ?? ''}`);
      // Bytes are shown as hex: what they hold may be encoded once more.
      for (const [, hex = ''] of (lines ?? '').matchAll(/\\x([0-9a-f]{16,})/g))
        watch('postgres row', Buffer.from(hex, 'hex'));
    }
  } finally {
    await client.end();
  }
}
