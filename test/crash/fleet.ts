import { sql } from 'kysely';
import { type BenchWorker, startBenchWorker } from '../../bench/worker.ts';
import type { Database } from '../../src/db/database.ts';

/** A worker and what its connections are called. */
export type Member = { readonly name: string; readonly worker: BenchWorker };

/** Two workers of one installation, alive at the same time. */
export type Fleet = {
  members(): readonly Member[];
  /** Starts another worker in the place of one that is gone. */
  replace(gone: Member): Promise<void>;
  stop(): Promise<void>;
};

/** Starts two workers on this database. */
export async function startFleet(url: string, environment: Record<string, string>): Promise<Fleet> {
  let started = 0;
  const start = async (): Promise<Member> => {
    started += 1;
    // In the URL it wins over what the worker calls each of its connections.
    const name = `zoom-steward-${started}`;
    return { name, worker: await startBenchWorker(`${url}?application_name=${name}`, environment) };
  };
  let members: readonly Member[] = await Promise.all([start(), start()]);
  return {
    members: () => members,
    async replace(gone) {
      const fresh = await start();
      members = [...members.filter((member) => member !== gone), fresh];
    },
    async stop() {
      await Promise.all(members.map(({ worker }) => worker.stop()));
    },
  };
}

/** Who is inside a chunk at this moment, by the organization's lock that every chunk holds. */
export async function findAtWork(db: Database, { members }: Fleet): Promise<Member | undefined> {
  const { rows } = await sql<{ name: string }>`
    select activity.application_name as name from pg_locks held join pg_stat_activity activity using (pid)
     where held.locktype = 'advisory' and held.mode = 'ExclusiveLock' and held.granted
       and activity.datname = current_database()`.execute(db);
  return members().find(({ name }) => rows.some((row) => row.name === name));
}
