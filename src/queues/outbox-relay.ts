import { randomUUID } from 'node:crypto';
import type { Database } from '../db/database.ts';
import type { AnyJobDefinition } from '../jobs/contract/definition.ts';
import { findJob } from '../jobs/contract/run-job.ts';
import { scrub } from '../scrub.ts';
import type { Secret } from '../secret.ts';
import type { Telemetry } from '../telemetry.ts';
import { readTraces } from '../trace-context.ts';
import { createListener } from './listener.ts';
import { checkNotMoved, claimOutbox, deleteOutbox, type OutboxRow, releaseOutbox } from './outbox-rows.ts';
import type { QueueMessage, QueueSystem } from './queue.ts';
import { takePresence } from './worker-presence.ts';

export type OutboxRelay = {
  start(): void;
  /** Finishes the batch at hand and ends. */
  stop(): Promise<void>;
  /** Moves one batch now. @returns how many messages it claimed */
  moveBatch(): Promise<number>;
};

/** Where a relay may die: tests stop it there. */
export type RelayStep = 'claimed' | 'published' | 'deleted';

export type OutboxRelayOptions = {
  readonly db: Database;
  readonly queue: Pick<QueueSystem, 'publish' | 'kind'>;
  readonly jobs: readonly AnyJobDefinition[];
  readonly telemetry: Telemetry;
  /** the database, for a LISTEN connection of its own; without it the poll works alone */
  readonly listenUrl?: Secret;
  /** within which a message that no NOTIFY announced is found, whatever the look before it took */
  readonly pollMs: number;
  readonly batch?: number;
  readonly leaseMs?: number;
  readonly heartbeatMs?: number;
  readonly onStep?: (step: RelayStep) => Promise<void> | void;
};

const firstBackoffMs = 100;
const longestBackoffMs = 5_000;
/** Share of the poll's interval at which the next look begins: the rest is for the look itself, and for a timer that is late. */
const pollShare = 0.95;

/** One message for equal job and key: the last one said. */
function coalesce(rows: readonly OutboxRow[], jobs: readonly AnyJobDefinition[]): QueueMessage[] {
  const last = new Map<string, QueueMessage>();
  for (const row of rows) {
    const definition = findJob(jobs, row.job);
    const name = `${row.job}/${row.key}`;
    const trace = readTraces([...(last.get(name)?.trace ?? []), ...readTraces(row.trace)]);
    // Deleted first, so that it keeps the place of the latest and not of the earliest.
    last.delete(name);
    last.set(name, {
      // What no job of ours answers to fails there for good and says why, instead of staying here for ever.
      queue: definition?.queue ?? 'quick',
      job: row.job,
      key: row.key,
      payload: row.payload,
      attempts: definition?.attempts ?? 1,
      ...(trace.length === 0 ? {} : { trace }),
    });
  }
  return [...last.values()];
}

/**
 * Moves what was said in transactions into the queue: claim in a short transaction, talk to the queue outside
 * of it, delete where the lease is still ours. Dying in between delivers twice, and never not at all; a second
 * delivery waits as one with the first, or finds nothing to do. NOTIFY is a hint, the poll is the rule.
 */
export function createOutboxRelay({
  db,
  queue,
  jobs,
  telemetry,
  listenUrl,
  pollMs,
  batch = 500,
  // Longer than publishing may take (5 s); what a relay that died had claimed waits this long.
  leaseMs = 10_000,
  heartbeatMs = 5_000,
  onStep = () => {},
}: OutboxRelayOptions): OutboxRelay {
  let stopped = false;
  let running: Promise<void> = Promise.resolve();
  let hinted = false;
  let wake: () => void = () => {};
  const hint = (): void => {
    hinted = true;
    wake();
  };
  const pause = (ms: number, untilHint: boolean): Promise<void> =>
    new Promise((resolve) => {
      if (stopped || (untilHint && hinted)) return resolve();
      const timer = setTimeout(resolve, ms);
      wake = () => {
        if (!untilHint && !stopped) return;
        clearTimeout(timer);
        resolve();
      };
    });
  const listener =
    listenUrl &&
    createListener({
      url: listenUrl,
      channel: 'steward_outbox',
      onHint: hint,
      telemetry,
      take: takePresence,
      heartbeatMs,
    });

  const moveBatch = async (): Promise<number> => {
    const startedAt = performance.now();
    const leaseToken = randomUUID();
    const rows = await claimOutbox(db, { queue: queue.kind, leaseToken, leaseMs, limit: batch });
    if (rows.length === 0) {
      await checkNotMoved(db, queue.kind);
      return 0;
    }
    await onStep('claimed');
    const messages = coalesce(rows, jobs);
    try {
      await queue.publish(messages);
    } catch (error) {
      await releaseOutbox(db, leaseToken);
      throw Object.assign(error instanceof Error ? error : new Error(String(error)), { messages: rows.length });
    }
    await onStep('published');
    await deleteOutbox(
      db,
      rows.map((row) => row.id),
      leaseToken,
    );
    telemetry.emit('outbox_moved', { messages: rows.length, jobs: messages.length, ms: performance.now() - startedAt });
    await onStep('deleted');
    return rows.length;
  };

  const loop = async (): Promise<void> => {
    let backoffMs = firstBackoffMs;
    while (!stopped) {
      hinted = false;
      const lookedAt = performance.now();
      try {
        const moved = await moveBatch();
        backoffMs = firstBackoffMs;
        // By the clock: from the begin of this look, as what is said while it goes on may have missed it.
        if (moved < batch) await pause(Math.max(0, lookedAt + pollMs * pollShare - performance.now()), true);
      } catch (error) {
        const { code, messages, message, name } = error as {
          code?: string;
          messages?: number;
          message: string;
          name: string;
        };
        telemetry.emit('outbox_delayed', { messages: messages ?? 0, code: code ?? name, detail: scrub(message) });
        await pause(backoffMs, false);
        backoffMs = Math.min(backoffMs * 2, longestBackoffMs);
      }
    }
  };

  return {
    moveBatch,
    start() {
      listener?.start();
      running = loop();
    },
    async stop() {
      stopped = true;
      wake();
      await Promise.all([running, listener?.stop()]);
    },
  };
}
