import { sql, type Transaction } from 'kysely';
import type { Actor } from './audit-repository.ts';
import type { Database } from './database.ts';
import type { DB } from './schema.ts';

/** Operator switches of lifecycle §6, as `pause` and `resume` name them in the table. */
export const switchNames = ['pause_all', 'pause_writes', 'pause_zoom', 'pause_declaring', 'observe_only'] as const;
export type SwitchRowName = (typeof switchNames)[number];

export type SwitchRow = {
  readonly name: SwitchRowName;
  readonly reason: string;
  readonly actor: string;
  readonly since: Date;
};

/** Switches that are on, in a fixed order. */
export async function listSwitches(db: Database): Promise<SwitchRow[]> {
  return db.selectFrom('steward.switches').select(['name', 'reason', 'actor', 'since']).orderBy('name').execute();
}

/** Turns a switch on; one that is on keeps its time and gets the newer reason. Returns whether it was off before. */
export async function upsertSwitch(
  trx: Transaction<DB>,
  { name, reason, actor }: { readonly name: SwitchRowName; readonly reason: string; readonly actor: Actor },
): Promise<boolean> {
  const { rows } = await sql<{ fresh: boolean }>`
    insert into steward.switches (name, reason, actor, since) values (${name}, ${reason}, ${actor}, steward.now())
    on conflict (name) do update set reason = excluded.reason, actor = excluded.actor
    returning xmax = 0 as fresh`.execute(trx);
  return rows[0]?.fresh === true;
}

/** Turns switches off. Returns the names of those that were on. */
export async function deleteSwitches(trx: Transaction<DB>, names: readonly SwitchRowName[]): Promise<SwitchRowName[]> {
  const gone = await trx.deleteFrom('steward.switches').where('name', 'in', names).returning('name').execute();
  return gone.map((row) => row.name).sort();
}
