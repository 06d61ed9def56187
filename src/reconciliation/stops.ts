import type { Database } from '../db/database.ts';
import type { OrganizationFacts } from './organization-facts.ts';

/**
 * Whether something keeps runs of this organization from writing, as of this transaction: a pause of the
 * operators, or observe (of the organization, or the switch), under which plans are shown and nothing is written.
 */
export async function findStop(
  db: Database,
  facts: Pick<OrganizationFacts, 'observe'>,
): Promise<'pause' | 'observe' | null> {
  const switches = await db
    .selectFrom('steward.switches')
    .select('name')
    .where('name', 'in', ['pause_all', 'pause_writes', 'observe_only'])
    .execute();
  const on = new Set(switches.map(({ name }) => name));
  if (on.has('pause_all') || on.has('pause_writes')) return 'pause';
  return facts.observe || on.has('observe_only') ? 'observe' : null;
}
