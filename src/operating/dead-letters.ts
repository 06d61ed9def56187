import { type Actor, insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import { insertOutbox } from '../db/outbox-repository.ts';
import { StewardError } from '../errors.ts';
import { type QueueName, queueNames } from '../jobs/contract/definition.ts';
import type { FailedJob, QueueSystem } from '../queues/queue.ts';

/** A job that failed for good and waits for a person. `ref` is what commands call it: queue:id. */
export type DeadLetter = FailedJob & { readonly queue: QueueName; readonly ref: string };

type Letters = Pick<QueueSystem, 'failed' | 'findFailed' | 'removeFailed'>;
type Because = { readonly actor: Actor; readonly reason: string };

const addressed = (queue: QueueName, job: FailedJob): DeadLetter => ({ ...job, queue, ref: `${queue}:${job.id}` });

/** Dead letters, the latest first; of one queue, or of jobs with one name, if asked. */
export async function listDeadLetters(
  letters: Letters,
  { queue, job, limit }: { readonly queue?: QueueName; readonly job?: string; readonly limit: number },
): Promise<DeadLetter[]> {
  const found = await Promise.all(
    queueNames
      .filter((name) => queue === undefined || name === queue)
      // Jobs are filtered here: the queue cannot, and keeps ten thousand at most.
      .map(async (name) =>
        (await letters.failed(name, job === undefined ? limit : 10_000)).map((one) => addressed(name, one)),
      ),
  );
  return found
    .flat()
    .filter((one) => job === undefined || one.job === job)
    .sort((a, b) => b.failedAtMs - a.failedAtMs)
    .slice(0, limit);
}

/**
 * The dead letter that `queue:id` names.
 * @throws StewardError `dead_letter_not_found`
 */
export async function getDeadLetter(letters: Letters, ref: string): Promise<DeadLetter> {
  const [queue = '', id = ''] = ref.split(':', 2);
  const name = queueNames.find((one) => one === queue);
  const found = name && id !== '' ? await letters.findFailed(name, id) : undefined;
  if (name && found) return addressed(name, found);
  throw new StewardError(
    'dead_letter_not_found',
    `Expected a dead letter like quick:42, got "${ref}", which none is; "zoom-steward dead-letters list" shows them.`,
  );
}

const facts = ({ ref, job, key, payload, reason }: DeadLetter): Record<string, unknown> => ({
  ref,
  job,
  key,
  payload,
  failed: reason,
});

/**
 * Says the message again, through the outbox and with the audit entry in one transaction, then forgets the dead one. A
 * crash in between leaves it listed: replaying it twice is harmless, as everything that is said twice is.
 */
export async function replayDeadLetter(
  db: Database,
  letters: Letters,
  letter: DeadLetter,
  { actor, reason }: Because,
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await insertOutbox(trx, { job: letter.job, key: letter.key, payload: letter.payload });
    await insertAudit(trx, {
      organizationId: null,
      actor,
      action: 'dead_letter.replayed',
      reason,
      data: facts(letter),
    });
  });
  await letters.removeFailed(letter.queue, letter.id);
}

/** Forgets it for good. What it was stays in the audit log, which is written first. */
export async function dropDeadLetter(
  db: Database,
  letters: Letters,
  letter: DeadLetter,
  { actor, reason }: Because,
): Promise<void> {
  await db
    .transaction()
    .execute((trx) =>
      insertAudit(trx, { organizationId: null, actor, action: 'dead_letter.dropped', reason, data: facts(letter) }),
    );
  await letters.removeFailed(letter.queue, letter.id);
}
