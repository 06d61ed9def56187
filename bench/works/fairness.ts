import { sql } from 'kysely';
import {
  type BenchInput,
  type BenchResult,
  percentile,
  queueName,
  resultOf,
  round,
  runToItsEnd,
  startRun,
  startWorker,
  summary,
} from '../measure.ts';
import { seedOrganization, settle } from '../world.ts';

/** So many small organizations, one fan-out after the other, in each part. */
const small = 20;
const smallMembers = 20;

const p95 = (list: readonly number[]): number =>
  percentile(
    list.toSorted((a, b) => a - b),
    0.95,
  );

/** Fan-outs of 20 members beside one of a million, against the same on an idle worker. */
export async function fairness(input: BenchInput): Promise<BenchResult> {
  const { db, members } = input;
  const large = await seedOrganization(db, members, 'large');
  const parts = { idle: [] as number[], beside: [] as number[] };
  const organizations = { idle: [], beside: [] } as Record<
    keyof typeof parts,
    Awaited<ReturnType<typeof seedOrganization>>[]
  >;
  for (const part of ['idle', 'beside'] as const)
    for (let i = 0; i < small; i += 1)
      organizations[part].push(await seedOrganization(db, smallMembers, `${part}${i}`));
  await settle(db);
  const worker = await startWorker(input);
  try {
    // The first fan-out of a process plans its statements.
    await runToItsEnd(db, await seedOrganization(db, smallMembers, 'first'), 'activated');
    for (const organization of organizations.idle)
      parts.idle.push((await runToItsEnd(db, organization, 'activated')) * 1000);
    const run = await startRun(db, large, 'activated');
    let besideIt = 0;
    for (const organization of organizations.beside) {
      const took = (await runToItsEnd(db, organization, 'activated')) * 1000;
      const { rows } = await sql<{ state: string }>`select state from steward.runs where id = ${run}`.execute(db);
      if (rows[0]?.state !== 'queued' && rows[0]?.state !== 'running') break;
      besideIt += 1;
      parts.beside.push(took);
    }
    if (besideIt === 0) throw new Error('The large run was over before a small one was: take more --members');
    const ratio = p95(parts.beside) / p95(parts.idle);
    return resultOf({
      work: 'fairness',
      members,
      ours: { s: round(p95(parts.beside) / 1000) },
      limit: { s: round(p95(parts.idle) / 1000) },
      ratioToLimit: round(ratio, 2),
      ...summary(parts.beside),
      peakRssMb: worker.takePeakRssMb(),
      notes: `p95 of ${besideIt} fan-outs of ${smallMembers} members, one after the other, while one of ${members} runs on the same worker, queue on ${queueName(input)}; limit: p95 of ${small} on the idle worker (p50 ${summary(parts.idle).p50Ms} ms)`,
    });
  } finally {
    await worker.stop();
  }
}
