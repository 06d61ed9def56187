import { sql } from 'kysely';
import { createVault } from '../../grants/vault.ts';
import { createLogger } from '../../logger.ts';
import { checkKeys, checkPool, checkQueueChoice, checkQueueServer } from '../../queues/preflight.ts';
import { type Check, fail, ok, warn } from './finding.ts';

const configuration: Check = {
  name: 'configuration',
  needs: [],
  async look({ config, configProblems }) {
    if (configProblems.length > 0)
      return fail(configProblems.join('; '), 'set these variables; .env.example describes each');
    if (config === null)
      return {
        state: 'skipped',
        found: 'a running "dev" keeps its own',
        mend: 'nothing; set DATABASE_URL to examine a configuration',
      };
    checkPool(config);
    return ok(
      `${config.mode} mode; ${Object.values(config.concurrency).reduce((sum, n) => sum + n, 0)} jobs at once on ${config.poolSize} connections`,
    );
  },
};

const keyRing: Check = {
  name: 'key ring',
  needs: ['schema', 'configuration'],
  async look({ db, config }) {
    if (config === null) return fail('no configuration', 'set STEWARD_KEYS');
    await checkKeys(db, createVault({ keys: config.keys.ring, activeKeyId: config.keys.activeId }));
    const { rows } = await sql<{ old: number }>`
      select count(*)::int as old from steward.grants where key_id <> ${config.keys.activeId}`.execute(db);
    return ok(`every grant opens; active key ${config.keys.activeId}, ${rows[0]?.old ?? 0} grants under older ones`);
  },
};

const clientSecrets: Check = {
  name: 'client secrets',
  needs: ['schema', 'configuration'],
  async look({ db, config }) {
    if (config === null) return fail('no configuration', 'set ZOOM_ADMIN_CLIENT_SECRETS');
    const { admin, personal } = config.zoom;
    const { rows } = await sql<{ id: string; reason: string | null; since: Date }>`
      select client_id as id, breaker_reason as reason, breaker_since as since from steward.client_states where breaker_until is not null`.execute(
      db,
    );
    const [refused] = rows;
    if (refused)
      return fail(
        `Zoom refuses ${refused.id} since ${refused.since.toISOString()}: ${refused.reason}`,
        "compare the secret with Zoom's Marketplace (and that the app is not disabled), put the new one first in the list, restart; docs/runbook.md#zoom-refuses-our-application",
      );
    const { rows: strangers } = await sql<{ id: string; n: number }>`
      select client_id as id, count(*)::int as n from steward.grants
       where state in ('living', 'suspect') and client_id <> all(${[admin, personal].flatMap((app) => (app ? [app.clientId] : []))}::text[])
       group by 1`.execute(db);
    const [stranger] = strangers;
    if (stranger)
      return fail(
        `${stranger.n} living grants are of client id ${stranger.id}, which is not configured`,
        'configure that app again, or ask for new consents',
      );
    return ok(
      `admin app: ${admin.secrets.length}; personal app: ${personal ? personal.secrets.length : 'none'}; whether Zoom takes them shows at the next refresh`,
    );
  },
};

const reachWithinMs = 5_000;

const publicUrl: Check = {
  name: 'public URL',
  needs: ['configuration'],
  async look({ config }) {
    if (config === null) return fail('no configuration', 'set STEWARD_PUBLIC_URL');
    const url = `${config.publicUrl}/healthz`;
    const mend = `start "zoom-steward server" behind ${config.publicUrl}; and register ${config.publicUrl}/zoom/callback with both Zoom apps. From here it may be closed although people reach it`;
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(reachWithinMs), redirect: 'manual' });
      return response.ok ? ok(`${url} answers`) : warn(`${url} answers ${response.status}`, mend);
    } catch (error) {
      const { cause, message } = error as Error & { cause?: { code?: string } };
      return warn(`${url}: ${cause?.code ?? message}`, mend);
    }
  },
};

const queueChoice: Check = {
  name: 'queue choice',
  needs: ['schema', 'configuration'],
  async look({ db, config }) {
    if (config === null) return fail('no configuration', 'set STEWARD_QUEUE');
    await checkQueueChoice(db, config);
    return ok(`${config.queue}, prefix ${config.queuePrefix}, as recorded`);
  },
};

const queue: Check = {
  name: 'queue',
  needs: ['schema'],
  async look({ queue, config }) {
    await checkQueueServer(queue, { mode: config?.mode ?? 'development', log: createLogger({ level: 'silent' }) });
    const { version, evictionPolicy } = await queue.server();
    const found = `${queue.kind} ${version}`;
    return evictionPolicy === null || evictionPolicy === 'noeviction'
      ? ok(`${found}${evictionPolicy === null ? '' : ', noeviction'}`)
      : warn(
          `${found} may evict: ${evictionPolicy}`,
          'set maxmemory-policy noeviction: locks and jobs must not be thrown away',
        );
  },
};

/** Checks of what was configured. */
export const setupChecks: readonly Check[] = [configuration, keyRing, clientSecrets, publicUrl, queueChoice, queue];
