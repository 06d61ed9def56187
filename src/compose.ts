import { hostname } from 'node:os';
import { sql } from 'kysely';
import type { Config } from './config.ts';
import type { ConnectionDeps } from './connections/connection-deps.ts';
import { wantNewHashes } from './connections/due-work.ts';
import { expectationsOf } from './connections/expectations.ts';
import { defaultLookAgainMs } from './connections/look-at-grant.ts';
import { createDatabase, type Database } from './db/database.ts';
import { StewardError } from './errors.ts';
import { createGrants } from './grants/grants.ts';
import { createVault } from './grants/vault.ts';
import { jobList } from './jobs/job-list.ts';
import { createJobServices } from './jobs/services/create-job-services.ts';
import type { JobServices } from './jobs/services/job-services.ts';
import { createLogger, type Logger } from './logger.ts';
import { createDriftReader, readFleetFacts } from './operating/fleet-facts.ts';
import { createMetrics, type MetricSources, type Metrics } from './operating/metrics.ts';
import { observeRuns } from './operating/observe-runs.ts';
import { createWatchdog } from './operating/watchdog.ts';
import { assembleWorker } from './queues/assemble-worker.ts';
import { logTelemetry } from './queues/log-telemetry.ts';
import { checkKeys, checkPool, checkQueueChoice, checkQueueServer, checkSchema } from './queues/preflight.ts';
import { createSwitches } from './queues/switches.ts';
import type { WorkerProcess } from './queues/worker-process.ts';
import { defaultGuardRail } from './reconciliation/guard-rail.ts';
import { createSecondLane } from './reconciliation/second-lane.ts';
import { createReleaseStack } from './release-stack.ts';
import { scrub } from './scrub.ts';
import { createTelemetry, type Telemetry, type TelemetryEvents } from './telemetry.ts';
import { flushTraces } from './trace-context.ts';
import { createZoomApi } from './zoom/api.ts';
import { simulatorEndpoints, zoomEndpoints } from './zoom/endpoints.ts';
import { createZoomOauth, type ZoomClient } from './zoom/oauth.ts';
import type { ZoomRequestEvent } from './zoom/request-event.ts';

/** Path of Zoom's redirect back to us, registered with both apps. */
export const callbackPath = '/zoom/callback';
/** The first lane of a run waits for it with its organization held. */
const laneConnectMs = 1_000;

/** What a process of this installation works with: the server, the worker, commands, the demo. */
export type Services = {
  readonly config: Config;
  readonly db: Database;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  /** connections, grants, vault, Zoom */
  readonly connections: ConnectionDeps;
  /** what jobs call; also for commands that act at once */
  readonly jobs: JobServices;
  /** what is counted in this process; `sources` says the rest, the queue's part once a worker is ready */
  readonly metrics: Metrics & { readonly sources: MetricSources };
  /** Puts the worker of this process together. It closes these services when it stops, unless told otherwise. */
  createWorker(options?: WorkerOptions): WorkerProcess;
  /** Waits for refreshes on the wire, then closes everything. */
  close(): Promise<void>;
};

export type WorkerOptions = {
  readonly keepOpen?: boolean;
  /** the watchdog found that the worker starts nothing although it could: end it, a supervisor starts another */
  readonly onWedged?: (diagnosis: TelemetryEvents['worker_wedged']) => void;
};

const zoomClients = ({ zoom, publicUrl }: Config): { admin: ZoomClient; personal: ZoomClient | null } => {
  const redirectUri = `${publicUrl}${callbackPath}`;
  return {
    admin: { kind: 'admin', ...zoom.admin, redirectUri },
    personal: zoom.personal && { kind: 'personal', ...zoom.personal, redirectUri },
  };
};

/** Wires everything for a configuration. The only place that does. Opens connections only when they are used. */
export function createServices(
  config: Config,
  given: { readonly log?: Logger; readonly telemetry?: Telemetry } = {},
): Services {
  const log = given.log ?? createLogger({ level: config.logLevel });
  const telemetry = given.telemetry ?? createTelemetry();
  const stack = createReleaseStack();
  stack.add('log subscription', logTelemetry(telemetry, log));
  stack.add('traces', flushTraces);
  const metrics = createMetrics(telemetry);
  stack.add('metrics subscription', () => metrics.stop());

  const url = config.databaseUrl.reveal();
  const db = createDatabase({ url, max: config.poolSize });
  stack.add('database', () => db.destroy());

  const laneDb = config.runLanes < 2 ? null : createDatabase({ url, max: 1, connectTimeoutMs: laneConnectMs });
  const secondLane =
    laneDb &&
    createSecondLane(laneDb, (error) => {
      const { code, name, message } = error as { code?: string; name: string; message: string };
      telemetry.emit('second_lane_failed', { code: code ?? name, detail: scrub(message) });
    });
  stack.add('second lane', async () => laneDb?.destroy());

  const endpoints = config.zoom.baseUrl === null ? zoomEndpoints : simulatorEndpoints(config.zoom.baseUrl);
  const onRequest = (event: ZoomRequestEvent): void => telemetry.emit('zoom_request', event);
  const oauth = createZoomOauth({ endpoints, onRequest });
  const api = createZoomApi({ endpoints, onRequest });
  stack.add('connections to Zoom', async () => api.close());

  const vault = createVault({ keys: config.keys.ring, activeKeyId: config.keys.activeId });
  const clients = zoomClients(config);
  const grants = createGrants({
    db,
    oauth,
    clients: clients.personal ? [clients.admin, clients.personal] : [clients.admin],
    vault,
    api: endpoints,
    holder: `${hostname()}:${process.pid}`,
    listenUrl: url,
    ...(config.journalFile !== null && { journalFile: config.journalFile }),
    onEvent: (event) => telemetry.emit('grant', event),
  });
  stack.add('grants', () => grants.close());

  const connections: ConnectionDeps = {
    db,
    vault,
    grants,
    oauth,
    api,
    endpoints,
    client: clients.admin,
    personalClient: clients.personal,
    expectations: expectationsOf(config.zoom),
    lookAgainMs: defaultLookAgainMs,
  };
  const jobs = observeRuns(
    createJobServices({
      connections,
      adapter: config.locationAdapter,
      guard: { ...defaultGuardRail, share: config.guardShare },
      chunkSize: config.chunkSize,
      chunkMs: config.chunkMs,
      ...(secondLane && { secondLane }),
      zoomShare: config.zoom.share,
    }),
    db,
    telemetry,
  );
  let readQueues: MetricSources['queues'] = async () => [];

  const close = async (): Promise<void> => {
    for (const { name, error } of await stack.release())
      log.error({ err: error, what: name }, 'something did not close');
  };
  return {
    config,
    db,
    log,
    telemetry,
    connections,
    jobs,
    metrics: {
      ...metrics,
      sources: {
        fleet: () => readFleetFacts(db, [...vault.keyIds]),
        drift: createDriftReader(db),
        queues: () => readQueues(),
      },
    },
    close,
    createWorker: ({ keepOpen = false, onWedged } = {}) =>
      assembleWorker({
        config,
        db,
        services: jobs,
        jobs: jobList,
        telemetry,
        log,
        settle: () => grants.settle(),
        close: keepOpen ? async () => {} : close,
        companions: ({ queue, lanes }) => {
          readQueues = () =>
            Promise.all(
              lanes.map(async ({ queue: name }) => ({
                queue: name,
                depth: await queue.depth(name),
                oldestAgeMs: await queue.oldestWaitingMs(name),
              })),
            );
          if (onWedged === undefined || config.watchdogMs === 0) return [];
          const { depth } = queue;
          const switches = createSwitches({ db });
          return [createWatchdog({ lanes, depth, switches, telemetry, idleMs: config.watchdogMs, onWedged })];
        },
        preflight: (queue) => [
          async () => checkPool(config),
          () => checkDatabase(db),
          () => checkSchema(db),
          () => checkQueueChoice(db, config),
          () => checkQueueServer(queue, { mode: config.mode, log }),
          () => checkKeys(db, vault),
          async () => void (await wantNewHashes(db, vault.activeKeyId)),
          async () => void (await grants.replayJournal()),
        ],
      }),
  };
}

async function checkDatabase(db: Database): Promise<void> {
  await sql`select 1`.execute(db).catch((error: unknown) => {
    throw new StewardError('database_away', 'The database does not answer; start it, or correct DATABASE_URL.', {
      cause: error,
    });
  });
}
