import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { type Check, checks, type Moment } from './checks.ts';
import type { CheckResult } from './report.ts';

const shownViolations = 3;

/** Whole tables are compared: row by row, as an estimate of one row would have it, a million takes longer than the story. */
const bySets = `set local enable_nestloop = off; set local work_mem = '64MB'; set local jit = off`;

/** Who waits for their turn is idle in their transaction, and that for longer than the worker's connections allow. */
const withPatience = 'set local idle_in_transaction_session_timeout = 0';

class RollBack extends Error {}

async function ask(db: Database, check: Check): Promise<CheckResult> {
  const { rows } = await sql.raw<Record<string, unknown>>(check.sql).execute(db);
  const detail =
    rows.length === 0
      ? check.says
      : `${rows.length} ${rows.length === 1 ? 'violation' : 'violations'}, e.g. ${rows
          .slice(0, shownViolations)
          .map((row) => Object.values(row).join(' '))
          .join('; ')}`;
  return { name: check.name, ok: rows.length === 0, detail };
}

/**
 * Asks the checks of a moment. With `broken` among them the state is damaged first, all of them are asked, and the
 * damage is rolled back, so that the story goes on as it was.
 */
export async function askChecks(db: Database, moment: Moment, broken: string | null): Promise<CheckResult[]> {
  const mine = checks.filter((check) => check.at === moment);
  const damage = mine.find((check) => check.name === broken)?.damage;
  const results: CheckResult[] = [];
  await db
    .transaction()
    .execute(async (trx) => {
      await sql.raw(bySets).execute(trx);
      if (damage !== undefined) await sql.raw(damage).execute(trx);
      for (const check of mine) results.push(await ask(trx as unknown as Database, check));
      throw new RollBack();
    })
    .catch((error: unknown) => {
      if (!(error instanceof RollBack)) throw error;
    });
  return results;
}

/**
 * Begins the checks of a moment: once this has resolved, they see the database as it is now, whatever is written while
 * they are asked. They are asked when `turn` is over, so that two moments do not compare whole tables at once.
 */
export async function beginChecks(
  db: Database,
  moment: Moment,
  turn: Promise<unknown>,
): Promise<{ readonly results: Promise<CheckResult[]> }> {
  const mine = checks.filter((check) => check.at === moment);
  const seen = Promise.withResolvers<void>();
  const results = db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (trx) => {
      await sql.raw(bySets).execute(trx);
      await sql.raw(withPatience).execute(trx);
      // The first query after the settings takes the snapshot.
      await sql`select 1`.execute(trx);
      seen.resolve();
      await turn;
      const asked: CheckResult[] = [];
      for (const check of mine) asked.push(await ask(trx as unknown as Database, check));
      return asked;
    });
  results.catch(seen.reject);
  await seen.promise;
  return { results };
}
