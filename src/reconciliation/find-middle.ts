import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import { lastKey } from './key-range.ts';
import { keepToIndexes } from './planner.ts';
import type { PhaseKeys } from './run-phases.ts';

/** How a middle is estimated where reading all keys would cost seconds. */
export type Sample = {
  /** pages of the table read; of a table with less than four times as many nothing is estimated */
  readonly pages: number;
  /** with fewer keys of the organization in them it has a small share of the table, and its keys are read */
  readonly keys: number;
};

const defaultSample: Sample = { pages: 1_000, keys: 1_000 };

export type MiddleRequest = {
  readonly organizationId: string;
  readonly after: string;
  /** how many are left; null: to be counted */
  readonly left: number | null;
  readonly least: number;
  readonly sample?: Sample;
};

/**
 * A key about in the middle of those a phase has left behind its cursor; null where fewer than `least` are left. By place and not
 * by value, as ids may be ordered by time. Of a large share of a large table it is the middle of a sample, a percent or two
 * beside it: millions of keys whose rows were written or locked lately are as many look-ups in the table, twice. Else it reads an
 * index, in the worst case all that is left of the organization.
 */
export async function findMiddle(
  trx: Transaction<DB>,
  keys: PhaseKeys,
  request: MiddleRequest,
): Promise<string | null> {
  await keepToIndexes(trx);
  const sampled = await sampleMiddle(trx, keys, request);
  if (sampled) return sampled.left < request.least ? null : sampled.middle;
  const key = sql.ref(keys.column);
  // Pairs alone, as in write_member_chunk.
  const behind = sql`
    from ${sql.table(keys.table)} where (organization_id, ${key}) > (${request.organizationId}::uuid, ${request.after}::uuid)
                                    and (organization_id, ${key}) <= (${request.organizationId}::uuid, ${lastKey}::uuid)`;
  const counted = request.left ?? (await countOf(trx, sql`select count(*) as n ${behind}`));
  if (counted < request.least) return null;
  const { rows } = await sql<{ middle: string }>`
    select ${key} as middle ${behind} order by organization_id, ${key} limit 1 offset ${Math.floor(counted / 2)}`.execute(
    trx,
  );
  return rows[0]?.middle ?? null;
}

async function countOf(trx: Transaction<DB>, query: ReturnType<typeof sql<{ n: number }>>): Promise<number> {
  const { rows } = await query.execute(trx);
  return rows[0]?.n ?? 0;
}

/** Null where there is nothing to take a sample of: a view, a partitioned or a small table, or an organization with a small share. */
async function sampleMiddle(
  trx: Transaction<DB>,
  { table, column }: PhaseKeys,
  { organizationId, after, sample = defaultSample }: MiddleRequest,
): Promise<{ readonly middle: string; readonly left: number } | null> {
  const pages = await countOf(
    trx,
    sql`select pg_relation_size(c.oid) / current_setting('block_size')::integer as n
          from pg_class c where c.oid = ${table}::regclass and c.relkind = 'r'`,
  );
  if (pages < sample.pages * 4) return null;
  const share = sample.pages / pages;
  const { rows } = await sql<{ middle: string | null; n: number }>`
    select percentile_disc(0.5) within group (order by ${sql.ref(column)}) as middle, count(*) as n
      from ${sql.table(table)} tablesample system (${sql.lit(share * 100)})
     where organization_id = ${organizationId}::uuid and ${sql.ref(column)} > ${after}::uuid`.execute(trx);
  const { middle, n } = rows[0] as { middle: string | null; n: number };
  return middle === null || n < sample.keys ? null : { middle, left: Math.round(n / share) };
}
