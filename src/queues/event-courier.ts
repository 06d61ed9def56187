import type { Database } from '../db/database.ts';
import { claimEventBatches, releaseEventBatches, sequenceEvents } from '../db/event-delivery-repository.ts';
import { scrub } from '../scrub.ts';
import type { Telemetry } from '../telemetry.ts';
import type { QueueSystem } from './queue.ts';

export type EventCourier = {
  start(): void;
  /** Finishes what is at hand and ends. */
  stop(): Promise<void>;
  /** Once: positions, then what is due on the queue. @returns whether there may be more at once */
  round(): Promise<boolean>;
};

export type EventCourierOptions = {
  readonly db: Database;
  /** null: events are read by SQL or HTTP alone, nothing is put on a queue */
  readonly queue: Pick<QueueSystem, 'offerEvents'> | null;
  readonly telemetry: Telemetry;
  readonly pollMs: number;
  /** a batch that nobody has taken is offered again after this; the queue drops it if it still waits there */
  readonly redoMs?: number;
};

// A round passes over whatever was placed before it while somebody's snapshot still sees it: few large rounds after a mass
// change, of a third of a second.
const sequencedAtOnce = 20_000;
// How many transactions a round tries beside one that failed.
const batchesAround = 20;
const organizationsAtOnce = 100;
const eventsInBatch = 100;
const usualRedoMs = 2 * 60_000;
const longestBackoffMs = 5_000;

/**
 * Brings events to the main app (behaviour §11): gives them their positions, and puts for each organization its oldest
 * events on the queue, one batch at a time – the next when the main app has taken that one, so they come in order. Whoever
 * took them says so in Postgres; what is not said is offered again, so a wiped queue loses nothing. Runs in every worker
 * process; several share the work.
 */
export function createEventCourier({
  db,
  queue,
  telemetry,
  pollMs,
  redoMs = usualRedoMs,
}: EventCourierOptions): EventCourier {
  let stopped = false;
  let running: Promise<void> = Promise.resolve();
  let wake = (): void => {};

  const offer = async (): Promise<number> => {
    if (queue === null) return 0;
    const batches = await claimEventBatches(db, { limit: organizationsAtOnce, events: eventsInBatch, redoMs });
    if (batches.length === 0) return 0;
    const startedAt = performance.now();
    try {
      await queue.offerEvents(batches);
    } catch (error) {
      await releaseEventBatches(
        db,
        batches.map(({ organizationId }) => organizationId),
      );
      throw error;
    }
    const events = batches.reduce((sum, batch) => sum + batch.events.length, 0);
    telemetry.emit('events_offered', { organizations: batches.length, events, ms: performance.now() - startedAt });
    return batches.length;
  };
  // A mass change that cannot be placed – larger than a time-out of the server allows – stops nobody else's events: what waits
  // singly first, then batches in a transaction each, by lot, until it is drawn.
  const sequenceAround = async (): Promise<number> => {
    const sequenced = await sequenceEvents(db, sequencedAtOnce, { batches: false });
    try {
      for (let n = 0; n < batchesAround && (await sequenceEvents(db, 1)) > 0; n += 1);
    } catch {
      // Told already.
    }
    return sequenced;
  };
  const round = async (): Promise<boolean> => {
    let failed: unknown = null;
    const sequenced = await sequenceEvents(db, sequencedAtOnce).catch((error: unknown) => {
      failed = error;
      return sequenceAround();
    });
    const offered = await offer();
    if (failed !== null) throw failed;
    return sequenced >= sequencedAtOnce || offered === organizationsAtOnce;
  };
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      if (stopped) return resolve();
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const loop = async (): Promise<void> => {
    let backoffMs = pollMs;
    while (!stopped) {
      try {
        const more = await round();
        backoffMs = pollMs;
        if (!more) await pause(pollMs);
      } catch (error) {
        const { code, name, message } = error as { code?: string; name: string; message: string };
        telemetry.emit('events_delayed', { code: code ?? name, detail: scrub(message) });
        await pause(backoffMs);
        backoffMs = Math.max(pollMs, Math.min(backoffMs * 2, longestBackoffMs));
      }
    }
  };
  return {
    round,
    start() {
      running = loop();
    },
    async stop() {
      stopped = true;
      wake();
      await running;
    },
  };
}
