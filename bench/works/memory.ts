import { type BenchInput, type BenchResult, queueName, resultOf, round, runToItsEnd, startWorker } from '../measure.ts';
import { seedOrganization, settle } from '../world.ts';

/** What a worker needs at most for a small run, and then, another process, for a large one. */
export async function memory(input: BenchInput): Promise<BenchResult> {
  const { db, members } = input;
  const few = Math.max(20, Math.min(10_000, Math.floor(members / 10)));
  const small = await seedOrganization(db, few, 'small');
  const large = await seedOrganization(db, members, 'large');
  await settle(db);
  const peaks: number[] = [];
  let took = 0;
  for (const organization of [small, large]) {
    const worker = await startWorker(input);
    try {
      took = await runToItsEnd(db, organization, 'activated');
      peaks.push(worker.takePeakRssMb() ?? Number.NaN);
    } finally {
      await worker.stop();
    }
  }
  const [before = Number.NaN, after = Number.NaN] = peaks;
  return resultOf({
    work: 'memory',
    members,
    ours: { s: round(took) },
    peakRssMb: after,
    notes: `resident set of the worker process alone, sampled every 100 ms, queue on ${queueName(input)}: ${before} MB at most for ${few} members, ${after} MB for ${members}: ${Math.round(after - before)} MB more`,
  });
}
