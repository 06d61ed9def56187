import { sql } from 'kysely';
import { bareFanout } from '../limits.ts';
import { account, type BenchInput, type BenchResult, queueName, round, runToItsEnd, startWorker } from '../measure.ts';
import { runJobPerMember } from '../rivals/job-per-member.ts';
import { seedOrganization, settle } from '../world.ts';

/** Fan-out to everybody, the first run of an organization, against a bare insert of the same rows and a job a member. */
export async function fanout(input: BenchInput): Promise<BenchResult> {
  const { db, databaseUrl, redisUrl, members, sample } = input;
  const organization = await seedOrganization(db, members);
  await settle(db);
  const worker = await startWorker(input);
  try {
    const ours = await runToItsEnd(db, organization, 'activated');
    const peakRssMb = worker.takePeakRssMb();
    await worker.stop();
    await sql`checkpoint`.execute(db);
    const limit = await bareFanout(db);
    const rival = await runJobPerMember({
      databaseUrl,
      ...(redisUrl ? { redisUrl } : {}),
      organizationId: organization.organizationId,
      accountId: account,
      members: Math.min(sample, members),
    });
    return {
      work: 'fanout',
      members,
      ours: { s: round(ours) },
      limit: { s: round(limit) },
      rival: { name: rival.name, s: round(rival.seconds), members: rival.members },
      ratioToLimit: round(ours / limit, 2),
      timesFaster: round(rival.seconds / rival.members / (ours / members), 1),
      p50Ms: null,
      p99Ms: null,
      peakRssMb,
      notes: `queue on ${queueName(input)}; ours: a run from its row to done through outbox, queue and worker process, facts and results of every member decided and written, counts, audit and events included; limit: insert … select of the same rows, nothing decided; rival: decides less (no ambiguity, no rollout, no opt-outs), keeps no progress, no fence`,
    };
  } finally {
    await worker.stop();
  }
}
