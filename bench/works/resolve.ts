import { sql } from 'kysely';
import { resolveMember } from '../../src/reconciliation/resolve-member.ts';
import { type BenchInput, type BenchResult, round, summary } from '../measure.ts';
import { seedOrganization, settle } from '../world.ts';

/** Who serves one member, live, against a lookup by primary key. */
export async function resolve({ db, members }: BenchInput): Promise<BenchResult> {
  const organization = await seedOrganization(db, members);
  await settle(db);
  const calls = 5_000;
  // The first calls plan; a process that serves has done that.
  const warmUp = Math.min(100, Math.floor(members / 10));
  const { rows } = await sql<{ id: string }>`
    select id from steward_app.members where organization_id = ${organization.organizationId} order by md5(id::text) limit ${calls}`.execute(
    db,
  );
  const time = async (work: (id: string) => Promise<unknown>): Promise<number[]> => {
    const took: number[] = [];
    for (const [index, { id }] of rows.entries()) {
      const started = performance.now();
      await work(id);
      if (index >= warmUp) took.push(performance.now() - started);
    }
    return took;
  };
  const lookups = await time((id) => sql`select * from steward_app.members where id = ${id}`.execute(db));
  const resolved = await time((id) => resolveMember(db, id));
  const { p50Ms, p99Ms } = summary(resolved);
  const lookup = summary(lookups);
  const sum = (list: readonly number[]): number => list.reduce((total, value) => total + value, 0) / 1000;
  return {
    work: 'resolve',
    members,
    ours: { s: round(sum(resolved)) },
    limit: { s: round(sum(lookups)) },
    rival: null,
    ratioToLimit: round(sum(resolved) / sum(lookups), 2),
    timesFaster: null,
    p50Ms,
    p99Ms,
    peakRssMb: null,
    notes: `one at a time from Node, ${resolved.length} calls, no stored result exists; limit: a primary-key lookup of the member the same way (p50 ${lookup.p50Ms} ms, p99 ${lookup.p99Ms} ms)`,
  };
}
