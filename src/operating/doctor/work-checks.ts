import { sql } from 'kysely';
import { queueNames } from '../../jobs/contract/definition.ts';
import { outboxBacklog } from '../../queues/outbox-rows.ts';
import { readFleetFacts } from '../fleet-facts.ts';
import { type Check, fail, ok, warn } from './finding.ts';

const tickLateS = 120;
/** newest audit entries that are searched: there is no index by action */
const auditLookedAt = 10_000;
const lateS = 60;
const tooLateS = 300;
const untakenHours = 1;

const seconds = (ms: number): string => `${Math.round(ms / 1_000)} s`;

const workers: Check = {
  name: 'workers',
  needs: ['schema'],
  async look({ db }) {
    const { rows } = await sql<{ age: number }>`
      select abs(extract(epoch from steward.now() - updated_at))::float8 as age from steward.installation where key = 'tick'`.execute(
      db,
    );
    const age = rows[0]?.age;
    const mend = 'start "zoom-steward worker"; its log says in one sentence why it would not';
    if (age === undefined) return fail('no worker has ever run', mend);
    return age > tickLateS
      ? fail(`the last sign of life is ${Math.round(age)} s old`, mend)
      : ok(`the last tick is ${Math.round(age)} s old`);
  },
};

const outbox: Check = {
  name: 'outbox',
  needs: ['schema'],
  async look({ db }) {
    const { unsent, oldestAgeMs } = await outboxBacklog(db);
    const found = unsent === 0 ? 'empty' : `${unsent} due, the oldest for ${seconds(oldestAgeMs)}`;
    const mend = 'nothing is lost: mend worker or queue, they go out by themselves; docs/runbook.md#changes-wait';
    if (oldestAgeMs > tooLateS * 1_000) return fail(found, mend);
    return oldestAgeMs > lateS * 1_000 ? warn(found, mend) : ok(found);
  },
};

const events: Check = {
  name: 'events',
  needs: ['schema'],
  async look({ db }) {
    const { events: told } = await readFleetFacts(db, []);
    const batchHours = Number(told.oldestBatchAge) / 3_600;
    if (batchHours >= untakenHours)
      return warn(
        `a mass change gets no positions, for ${Math.round(batchHours)} h; its organization is told nothing, and no deadline of it runs`,
        'is a worker running, and what does it say of "events delayed"? docs/runbook.md#events-not-taken',
      );
    const hours = Number(told.oldestAge) / 3_600;
    return hours >= untakenHours
      ? warn(
          `${told.untaken} not taken by the main app, the oldest for ${Math.round(hours)} h; no deadline runs for whoever was not told`,
          'is the main app at work on its queue, or reading by SQL? docs/runbook.md#events-not-taken',
        )
      : ok(Number(told.untaken) === 0 ? 'all taken' : `${told.untaken} on their way`);
  },
};

const backlog: Check = {
  name: 'backlog',
  needs: ['schema', 'queue'],
  async look({ queue }) {
    const ages = await Promise.all(
      queueNames.map(async (name) => ({ name, ...(await queue.depth(name)), age: await queue.oldestWaitingMs(name) })),
    );
    const found = ages
      .map(
        ({ name, waiting, active, age }) =>
          `${name} ${waiting} waiting${waiting > 0 ? ` (${seconds(age)})` : ''}, ${active} at work`,
      )
      .join('; ');
    const worst = Math.max(...ages.map(({ age }) => age));
    return worst > tooLateS * 1_000
      ? warn(found, 'add workers, or raise STEWARD_CONCURRENCY_…; if nothing is at work see the check "workers"')
      : ok(found);
  },
};

const deadLetters: Check = {
  name: 'dead letters',
  needs: ['schema', 'queue'],
  async look({ queue }) {
    const counts = await Promise.all(
      queueNames.map(async (name) => ({ name, failed: (await queue.depth(name)).failed })),
    );
    const some = counts.filter(({ failed }) => failed > 0);
    return some.length === 0
      ? ok('none')
      : warn(
          some.map(({ name, failed }) => `${failed} in ${name}`).join(', '),
          'zoom-steward dead-letters list; then replay or drop them',
        );
  },
};

const runs: Check = {
  name: 'runs',
  needs: ['schema'],
  async look({ db }) {
    const { runsStuck } = await readFleetFacts(db, []);
    const { rows } = await sql<{ held: number; failed: number }>`
      select count(*) filter (where state = 'held')::int as held,
             count(*) filter (where state = 'failed' and ended_at > steward.now() - interval '24 hours')::int as failed
        from steward.runs where state in ('held', 'failed')`.execute(db);
    const { held = 0, failed = 0 } = rows[0] ?? {};
    const found = `${runsStuck} stuck, ${held} held for a person, ${failed} failed since yesterday`;
    if (runsStuck > 0)
      return fail(
        found,
        'zoom-steward runs list --state running; a worker takes them over after 20 s, so see the checks "workers" and "queue"',
      );
    return held + failed > 0
      ? warn(
          found,
          'zoom-steward runs list --state held; runs show RUN says why; reconcile ORG --apply --max-removals N lets it pass',
        )
      : ok(found);
  },
};

const switches: Check = {
  name: 'switches',
  needs: ['schema'],
  async look({ db }) {
    const on = await db.selectFrom('steward.switches').selectAll().orderBy('since').execute();
    return on.length === 0
      ? ok('none is on')
      : warn(
          on
            .map(({ name, since, actor, reason }) => `${name} since ${since.toISOString()} by ${actor}: ${reason}`)
            .join('; '),
          'zoom-steward resume …, when its reason is gone',
        );
  },
};

const verifications: Check = {
  name: 'verifications',
  needs: ['schema'],
  async look({ db }) {
    const { verify, connections } = await readFleetFacts(db, []);
    const living = (connections['active'] ?? 0) + (connections['interrupted'] ?? 0);
    if (living === 0) return ok('no living connection');
    const found = `${living} living connections, the oldest verification is ${Math.round(Number(verify.oldest ?? 0) / 3_600)} h old`;
    return Number(verify.overdue) > 1_800
      ? fail(
          `${found}; one has been due for ${Math.round(Number(verify.overdue) / 60)} min`,
          'see the checks "workers", "switches" and "client secrets"; docs/runbook.md#no-verification-finishes',
        )
      : ok(found);
  },
};

const webhooks: Check = {
  name: 'webhooks',
  needs: ['schema'],
  async look({ db }) {
    const { rows } = await sql<{ silent: string[]; heard: number; attempts: number }>`
      select coalesce(array_agg(client_id order by client_id) filter (where greatest(heard_at, validated_at) <= steward.now() - interval '7 days'), '{}') as silent,
             count(*)::int as heard,
             (select count(*)::int from (select action, at from steward.audit_log order by id desc limit ${auditLookedAt}) lately
               where action = 'webhook.signing_attempt' and at > steward.now() - interval '1 day') as attempts
        from steward.webhook_sources`.execute(db);
    const { silent, heard, attempts } = rows[0] ?? { silent: [], heard: 0, attempts: 0 };
    if (silent.length > 0)
      return warn(
        `nothing from ${silent.join(', ')} for 7 days, although it used to send`,
        'in Zoom’s Marketplace look at the app’s event subscription: address, validation; docs/webhooks.md. The schedule finds what was missed',
      );
    return attempts > 0
      ? warn(
          `somebody tried to have us sign a text of theirs, ${attempts} times since yesterday`,
          'it was refused; see who calls /zoom/webhooks in the access log of your proxy',
        )
      : ok(heard === 0 ? 'none came yet' : `${heard} apps are heard`);
  },
};

/** Checks of the work that is done, or lies about. */
export const workChecks: readonly Check[] = [
  workers,
  outbox,
  events,
  backlog,
  deadLetters,
  runs,
  switches,
  verifications,
  webhooks,
];
