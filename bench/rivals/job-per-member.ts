import { randomUUID } from 'node:crypto';
import { createPostgresBackend, Queue, Worker, withBackend } from 'bullmq';
import pg from 'pg';

/**
 * What most teams write: one BullMQ job a member. Written as a competent team would: the producer pages
 * through the members and adds in bulk, the worker runs 50 at once on a pool, each job is one statement
 * that reads the facts of its member by primary keys and upserts the result, finished jobs are removed.
 * It keeps no audit, no progress and no fence. On Redis where one is given, else on Postgres.
 */
export async function runJobPerMember(input: {
  databaseUrl: string;
  redisUrl?: string;
  organizationId: string;
  accountId: string;
  members: number;
}): Promise<{ name: string; seconds: number; members: number }> {
  const name = `rival-${randomUUID()}`;
  const pool = new pg.Pool({ connectionString: input.databaseUrl, max: 20 });
  // end() does not wait until every connection is closed; the server that stops then must not end this process.
  pool.on('error', () => {});
  await pool.query(`
    create table if not exists rival_member_connections (
      member_id uuid primary key, organization_id uuid not null, effective text not null, hosting text not null,
      zoom_user_id text, updated_at timestamptz not null)`);
  await pool.query('truncate rival_member_connections');
  const classes = (input.redisUrl ? { Queue, Worker } : withBackend(createPostgresBackend)) as {
    Queue: typeof Queue;
    Worker: typeof Worker;
  };
  const connection = input.redisUrl
    ? { url: input.redisUrl, maxRetriesPerRequest: null }
    : { connectionString: input.databaseUrl, schema: 'rival_bullmq', migrate: true };
  // biome-ignore lint/suspicious/noExplicitAny: the two backends have different option types
  const options = { connection: connection as any };
  const queue = new classes.Queue(name, options);
  queue.on('error', () => {});
  let finished = 0;
  let done: () => void = () => {};
  const allDone = new Promise<void>((resolve) => {
    done = resolve;
  });
  const worker = new classes.Worker(
    name,
    async (job: { data: { memberId: string } }) => {
      await pool.query({
        name: 'rival',
        text: `
          insert into rival_member_connections
          select m.id, m.organization_id,
                 case when not m.active then 'none' when p.state = 'connected' then 'personal' else 'organization' end,
                 case when p.state = 'connected' or (u.status = 'active' and u.user_type in (1, 2)) then 'can_host' else 'no_zoom_user' end,
                 u.zoom_user_id, now()
            from steward_app.members m
            left join steward_app.personal_connections p on p.member_id = m.id
            left join steward.directory_users u on u.zoom_account_id = $2 and u.address_key = lower(m.email)
           where m.id = $1
          on conflict (member_id) do update set effective = excluded.effective, hosting = excluded.hosting,
            zoom_user_id = excluded.zoom_user_id, updated_at = excluded.updated_at`,
        values: [job.data.memberId, input.accountId],
      });
    },
    { ...options, concurrency: 50, autorun: false },
  );
  worker.on('error', () => {});
  worker.on('completed', () => {
    finished += 1;
    if (finished === input.members) done();
  });
  const started = performance.now();
  void worker.run();
  let after = '00000000-0000-0000-0000-000000000000';
  let added = 0;
  while (added < input.members) {
    const { rows } = await pool.query<{ id: string }>(
      'select id from steward_app.members where organization_id = $1 and id > $2 order by id limit $3',
      [input.organizationId, after, Math.min(1000, input.members - added)],
    );
    if (rows.length === 0) throw new Error(`The rival found ${added} of ${input.members} members`);
    await queue.addBulk(
      rows.map(({ id }) => ({
        name: 'member',
        data: { memberId: id },
        opts: { removeOnComplete: true, removeOnFail: 1000, attempts: 3 },
      })),
    );
    after = rows.at(-1)?.id as string;
    added += rows.length;
  }
  await allDone;
  const seconds = (performance.now() - started) / 1000;
  await worker.close();
  await queue.close();
  await pool.end();
  return {
    name: `one BullMQ job a member on ${input.redisUrl ? 'Redis' : 'Postgres'}, 50 at once`,
    seconds,
    members: input.members,
  };
}
