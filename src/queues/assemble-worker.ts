import type { Database } from '../db/database.ts';
import type { AnyJobDefinition } from '../jobs/contract/definition.ts';
import type { JobServices } from '../jobs/services/job-services.ts';
import type { Logger } from '../logger.ts';
import type { Telemetry } from '../telemetry.ts';
import { createQueue, type QueueChoice } from './create-queue.ts';
import { createEventCourier } from './event-courier.ts';
import { createOutboxRelay, type RelayStep } from './outbox-relay.ts';
import { createSwitches } from './switches.ts';
import { createTicker } from './ticker.ts';
import { createWorkerProcess, type WorkerProcess, type WorkerProcessDeps } from './worker-process.ts';

export type WorkerParts = {
  readonly config: QueueChoice & {
    readonly concurrency: Readonly<{ quick: number; bulk: number; zoom: number }>;
    readonly sliceMs: number;
    readonly outboxPollMs: number;
    readonly tickMs: number;
    readonly shutdownMs: number;
    readonly events: 'queue' | 'sql';
  };
  readonly db: Database;
  readonly services: JobServices;
  readonly jobs: readonly AnyJobDefinition[];
  readonly telemetry: Telemetry;
  readonly log: Logger;
  /** checks before the first job; each is given nothing and throws one sentence */
  readonly preflight?: (queue: ReturnType<typeof createQueue>) => readonly (() => Promise<void>)[];
  readonly companions?: WorkerProcessDeps['companions'];
  readonly settle?: () => Promise<void>;
  readonly close?: () => Promise<void>;
  readonly drainMs?: number;
  /** tests shorten them */
  readonly times?: { readonly lockDuration: number; readonly stalledInterval: number };
  /** tests die there */
  readonly onRelayStep?: (step: RelayStep) => Promise<void> | void;
};

/** Puts a worker process together: queue, relay, tick, switches, jobs. Opens nothing before `start()`. */
export function assembleWorker(parts: WorkerParts): WorkerProcess {
  const { config, db, telemetry, log, jobs } = parts;
  const queue = createQueue(config, { db, telemetry, ...(parts.times === undefined ? {} : { times: parts.times }) });
  return createWorkerProcess({
    queue,
    relay: createOutboxRelay({
      db,
      queue,
      jobs,
      telemetry,
      listenUrl: config.databaseUrl,
      pollMs: config.outboxPollMs,
      ...(parts.onRelayStep === undefined ? {} : { onStep: parts.onRelayStep }),
    }),
    courier: createEventCourier({
      db,
      queue: config.events === 'queue' ? queue : null,
      telemetry,
      pollMs: config.outboxPollMs,
    }),
    ticker: createTicker({ db, everyMs: config.tickMs, telemetry }),
    switches: createSwitches({ db }),
    telemetry,
    jobDeps: { db, log, services: parts.services, sliceMs: config.sliceMs, jobs },
    concurrency: config.concurrency,
    preflight: parts.preflight?.(queue) ?? [],
    settle: parts.settle ?? (async () => {}),
    close: parts.close ?? (async () => {}),
    ...(parts.companions === undefined ? {} : { companions: parts.companions }),
    shutdownMs: config.shutdownMs,
    ...(parts.drainMs === undefined ? {} : { drainMs: parts.drainMs }),
  });
}
