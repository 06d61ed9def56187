import { sql } from 'kysely';
import { planAnnounced, planOrganization } from '../../src/reconciliation/plan.ts';
import { scanAll, seconds } from '../limits.ts';
import { account, type BenchInput, type BenchResult, resultOf, round, runToItsEnd, startWorker } from '../measure.ts';
import { seedOrganization, settle } from '../world.ts';

/** Of how many times the middle one counts, on both sides. */
const rounds = 5;

const middle = (list: readonly number[]): number =>
  list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] as number;

async function reconciled(input: BenchInput) {
  const organization = await seedOrganization(input.db, input.members);
  await settle(input.db);
  const worker = await startWorker(input);
  await runToItsEnd(input.db, organization, 'activated').finally(() => worker.stop());
  await settle(input.db);
  return organization;
}

/** A full plan where nothing has changed, against one scan of the same tables. */
export async function plan(input: BenchInput): Promise<BenchResult> {
  const { organizationId } = await reconciled(input);
  const { db, members } = input;
  const [scans, plans]: [number[], number[]] = [[], []];
  await planOrganization(db, organizationId);
  // One after the other, so that whatever else the machine does falls on both.
  for (let turn = 0; turn < rounds; turn += 1) {
    scans.push(await scanAll(db, organizationId, account));
    plans.push(
      await seconds(async () => {
        const { changes } = (await planOrganization(db, organizationId)).members.summary;
        if (changes !== 0) throw new Error(`Expected a plan without changes, got ${changes}`);
      }),
    );
  }
  return resultOf({
    work: 'plan',
    members,
    ours: { s: round(middle(plans)) },
    limit: { s: round(middle(scans)) },
    ratioToLimit: round(middle(plans) / middle(scans), 2),
    notes: `ours: full plan of members and bookings, no drift, everybody compared with the base tables (of ${rounds}: ${plans.map((s) => round(s, 2)).join(', ')} s); limit: one count over each table it reads (${scans.map((s) => round(s, 2)).join(', ')} s); taken in turns, middle of ${rounds}, all warm`,
  });
}

/** A plan of a thousand announced changes, against the full plan of the same organization. */
export async function announced(input: BenchInput): Promise<BenchResult> {
  const { organizationId } = await reconciled(input);
  const { db, members } = input;
  const changes = Math.min(1_000, Math.floor(members / 2));
  await db.transaction().execute(async (trx) => {
    await sql`
      with changed as (
        update steward_app.members set active = false
         where id in (select id from steward_app.members where organization_id = ${organizationId} order by md5(id::text) limit ${changes})
        returning id)
      select count(steward.changed('member', id)) from changed`.execute(trx);
  });
  await settle(db);
  const found = async (work: () => Promise<{ members: { summary: { changes: number } } }>): Promise<number> => {
    await work();
    return seconds(async () => {
      const { changes: seen } = (await work()).members.summary;
      if (seen !== changes) throw new Error(`Expected ${changes} changes, got ${seen}`);
    });
  };
  const ours = await found(() => planAnnounced(db, organizationId));
  const limit = await found(() => planOrganization(db, organizationId));
  return resultOf({
    work: 'announced',
    members,
    ours: { s: round(ours) },
    limit: { s: round(limit) },
    ratioToLimit: round(ours / limit, 4),
    notes: `ours: plan of ${changes} announced changes (members and whoever shares an address with them), waiting in the outbox; limit: the full plan, which finds the same; both warm`,
  });
}
