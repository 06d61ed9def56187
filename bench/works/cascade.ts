import { sql } from 'kysely';
import { bareCascade } from '../limits.ts';
import { type BenchInput, type BenchResult, queueName, round, runToItsEnd, startWorker } from '../measure.ts';
import { runUpdatePerEventType } from '../rivals/update-per-event-type.ts';
import { seedEventTypes, seedOrganization, settle } from '../world.ts';

/** Taking Zoom from event types after a disconnect, archive and audit included, against an UPDATE an event type. */
export async function cascade(input: BenchInput): Promise<BenchResult> {
  const { db, databaseUrl, members: eventTypes, sample } = input;
  const hosts = Math.min(eventTypes, 10_000);
  const organization = await seedOrganization(db, hosts);
  // Nobody keeps a personal Zoom here: every Zoom location goes, on both sides.
  await sql`delete from steward_app.personal_connections`.execute(db);
  await seedEventTypes(db, organization, hosts, eventTypes);
  await settle(db);
  const limit = await bareCascade(db, organization.organizationId);
  const rival = await runUpdatePerEventType({
    databaseUrl,
    organizationId: organization.organizationId,
    eventTypes: Math.min(sample, eventTypes),
  });
  await settle(db);
  const worker = await startWorker(input);
  try {
    await runToItsEnd(db, organization, 'activated');
    await sql`update steward.org_connections set state = 'disconnecting', disconnect_cause = 'person', disconnected_at = now(), generation = generation + 1 where id = ${organization.connectionId}`.execute(
      db,
    );
    const ours = await runToItsEnd(db, organization, 'disconnect');
    const { rows } = await sql<{ left: number; archived: number }>`
      select (select count(*) from steward_app.locations where kind = 'zoom_conference') as left, (select count(*) from steward.archived_locations) as archived`.execute(
      db,
    );
    if (rows[0]?.left !== 0) throw new Error(`The cascade left ${rows[0]?.left} Zoom locations`);
    return {
      work: 'cascade',
      members: eventTypes,
      ours: { s: round(ours) },
      limit: { s: round(limit) },
      rival: { name: rival.name, s: round(rival.seconds), members: rival.members },
      ratioToLimit: round(ours / limit, 2),
      timesFaster: round(rival.seconds / rival.members / (ours / eventTypes), 1),
      p50Ms: null,
      p99Ms: null,
      peakRssMb: worker.takePeakRssMb(),
      notes: `queue on ${queueName(input)}; members counts event types (30 % with Zoom, ${rows[0]?.archived} archived, ${hosts} hosts); ours decides every server live, archives, audits, tells, marks bookings, through queue and worker; limit: one delete that copies the rows; rival keeps no copies and no audit`,
    };
  } finally {
    await worker.stop();
  }
}
