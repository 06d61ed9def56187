import type { Transaction } from 'kysely';
import { insertOutbox } from '../../db/outbox-repository.ts';
import type { DB } from '../../db/schema.ts';
import { parsePayload } from './define-job.ts';
import type { JobDefinition, Payload } from './definition.ts';

/** Says in a transaction that a job is owed: parsed now, delivered after the commit, and only then. */
export async function enqueueJob<P extends Payload>(
  trx: Transaction<DB>,
  definition: JobDefinition<P>,
  payload: P,
  { delayMs = 0 }: { readonly delayMs?: number } = {},
): Promise<void> {
  const parsed = parsePayload(definition, payload);
  await insertOutbox(trx, { job: definition.name, key: definition.unique(parsed), payload: parsed, delayMs });
}
