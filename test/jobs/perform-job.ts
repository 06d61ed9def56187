import { pino } from 'pino';
import type { Database } from '../../src/db/database.ts';
import type { JobDefinition, Payload, StopReason } from '../../src/jobs/contract/definition.ts';
import { type JobOutcome, runJob } from '../../src/jobs/contract/run-job.ts';
import { jobList } from '../../src/jobs/job-list.ts';
import type { JobServices } from '../../src/jobs/services/job-services.ts';

const unexpected = (name: string) => async () => {
  throw new Error(`The test did not expect ${name} to be called`);
};

/** Services of which a test gives the ones it expects to be called; the others complain. */
export function services(given: Partial<JobServices> = {}): JobServices {
  return {
    advanceRun: unexpected('advanceRun'),
    reconcileMember: unexpected('reconcileMember'),
    reconcileEventType: unexpected('reconcileEventType'),
    verifyConnection: unexpected('verifyConnection'),
    advanceCandidate: unexpected('advanceCandidate'),
    identifyConsent: unexpected('identifyConsent'),
    syncDirectory: unexpected('syncDirectory'),
    lookAtGrant: unexpected('lookAtGrant'),
    lookUpMember: unexpected('lookUpMember'),
    lookAtZoomUser: unexpected('lookAtZoomUser'),
    findLookup: async () => null,
    previewDisconnect: unexpected('previewDisconnect'),
    finishDisconnect: unexpected('finishDisconnect'),
    ...given,
  };
}

/** Performs a job as the executor does, payload parsing and classification included, without a queue. */
export function performJob<P extends Payload>(
  db: Database,
  definition: JobDefinition<P>,
  payload: P | Record<string, unknown>,
  {
    attempt = 1,
    stop = new AbortController().signal,
    ...given
  }: Partial<JobServices> & { attempt?: number; stop?: AbortSignal } = {},
): Promise<JobOutcome> {
  return runJob(
    { db, log: pino({ level: 'silent' }), services: services(given), sliceMs: 1_000, jobs: [definition, ...jobList] },
    { name: definition.name, id: 'test', key: 'test', attempt, payload, signal: stop },
  );
}

/** A signal that says why. */
export function stopped(reason: StopReason): AbortSignal {
  return AbortSignal.abort(reason);
}

/** What the outbox owes, oldest first. */
export function expectEnqueued(db: Database): Promise<{ job: string; key: string; payload: unknown }[]> {
  return db.selectFrom('steward.outbox').select(['job', 'key', 'payload']).orderBy('id').execute();
}
