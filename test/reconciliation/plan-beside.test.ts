import { type Kysely, type KyselyPlugin, type RootOperationNode, sql } from 'kysely';
import { expect, test } from 'vitest';
import type { DB } from '../../src/db/schema.ts';
import { beginBeside } from '../../src/reconciliation/beside.ts';
import { planWhole } from '../../src/reconciliation/plan-whole.ts';
import { inSnapshot } from '../../src/reconciliation/snapshot.ts';
import { useDatabase } from '../support/database.ts';
import { fillOrganization } from './support/fill-organization.ts';
import { reconcileAll } from './support/play-runs.ts';

const database = useDatabase();

/** Once a snapshot is taken over, fails that statement or, after it, the first that says this. */
function failingAfterImport(says: string): KyselyPlugin & { failed: number } {
  let imported = false;
  const plugin = {
    failed: 0,
    transformQuery({ node }: { node: RootOperationNode }) {
      const text = node.kind === 'RawNode' ? node.sqlFragments.join('') : '';
      imported ||= text.startsWith('set transaction snapshot');
      if (imported && plugin.failed === 0 && text.includes(says)) {
        plugin.failed += 1;
        throw new Error('No longer there');
      }
      return node;
    },
    async transformResult({ result }: Parameters<KyselyPlugin['transformResult']>[0]) {
      return result;
    },
  };
  return plugin;
}

const countMembers = async (db: Kysely<DB>): Promise<number> => {
  const { rows } = await sql<{ n: number }>`select count(*) as n from steward_app.members`.execute(db);
  return (rows[0] as { n: number }).n;
};

test('what is done beside sees the snapshot it stands beside, and is done even if that is over', async () => {
  await inSnapshot(database.db, async (trx) => {
    const before = await countMembers(trx);
    await fillOrganization(database.another(1), 10);
    const beside = await beginBeside(database.db, { snapshotOf: trx }, countMembers);
    expect(await countMembers(database.db)).toBe(before + 10);
    expect(await beside?.result).toBe(before);
    // Its connection is given back, and the next one may have it.
    const next = await beginBeside(database.db, { snapshotOf: trx }, countMembers);
    expect(await next?.result).toBe(before);
  });
});

test('of a pool one second connection at a time, and none if none is free', async () => {
  let end = (): void => {};
  const held = new Promise<void>((resolve) => {
    end = resolve;
  });
  await inSnapshot(database.db, async (trx) => {
    const first = await beginBeside(database.db, { snapshotOf: trx }, () => held);
    expect(first).toBeDefined();
    expect(await beginBeside(database.db, { snapshotOf: trx }, countMembers)).toBeUndefined();
    end();
    await first?.result;
  });
  const small = database.another(1);
  await inSnapshot(small, async (trx) => {
    let worked = false;
    const work = async () => {
      worked = true;
    };
    expect(await beginBeside(small, { snapshotOf: trx, patienceMs: 20 }, work)).toBeUndefined();
    expect(worked).toBe(false);
  });
  // Who came too late has let go of the pool.
  expect(await countMembers(small)).toBeGreaterThanOrEqual(0);
});

test('the halves of a plan side by side say what they say one after the other', async () => {
  const org = await fillOrganization(database.db, 30);
  await reconcileAll(database.db, org);
  await sql`update steward_app.members set active = false where id = (select min(id::text)::uuid from steward_app.members where organization_id = ${org.organizationId})`.execute(
    database.db,
  );
  for (const assume of [undefined, { state: 'disconnecting' as const }]) {
    const plan = (db: typeof database.db, besideFrom: number) =>
      planWhole(db, org.organizationId, { adapter: 'rows', besideFrom, ...(assume && { assume }) });
    const alone = await plan(database.db, 30);
    expect(alone.members.summary.changes).toBeGreaterThan(0);
    expect(await plan(database.db, 29)).toEqual(alone);
    // A pool of one, a snapshot that cannot be taken over, and a second connection that is lost amid its half.
    expect(await plan(database.another(1), 29)).toEqual(alone);
    for (const says of ['set transaction snapshot', 'steward.organization_facts']) {
      const lost = failingAfterImport(says);
      expect(await plan(database.db.withPlugin(lost), 29)).toEqual(alone);
      expect(lost.failed).toBe(1);
    }
  }
});
