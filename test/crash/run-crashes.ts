import { sql } from 'kysely';
import pg from 'pg';
import { createDatabase } from '../../src/db/database.ts';
import { migrateReferenceApp } from '../../src/db/migrate.ts';
import { startTemporaryPostgres } from '../../src/embedded/postgres.ts';
import { startPrivateRedis } from '../../src/embedded/redis.ts';
import { migrateAll } from '../../src/queues/migrate-all.ts';
import { Secret } from '../../src/secret.ts';
import { type BlowName, createBlow, type Servers } from './blows.ts';
import { type Distribution, distributionOf } from './distribution.ts';
import { differences } from './fingerprint.ts';
import { type Kill, live } from './life.ts';
import { createRandom } from './random.ts';
import { type StageName, seedLife, stages } from './stages.ts';

export type CrashOptions = {
  /** what carries the queue: the same Postgres, or a private Redis; every life has queues of its own */
  readonly queue: 'postgres' | 'redis';
  /** what happens inside a run */
  readonly blow?: BlowName;
  readonly kills: number;
  readonly seed: number;
  readonly members: number;
  /** lives under way at once; one where the blow meets servers that all of them share */
  readonly parallel: number;
  /** kills in each of the three stages of a life; default 4 */
  readonly killsAStage?: number;
  readonly say: (line: string) => void;
};

export type CrashReport = {
  readonly ok: boolean;
  readonly queue: 'postgres' | 'redis';
  readonly blow: BlowName;
  readonly seed: number;
  readonly members: number;
  /** kills whose cursor was strictly inside, by the row read after the process was gone */
  readonly kills: number;
  readonly byStage: Readonly<Record<StageName, number>>;
  readonly byPhase: Readonly<Record<string, number>>;
  readonly lives: number;
  /** lives whose end differs from the undisturbed twin's, with the parts that differ */
  readonly different: readonly {
    readonly life: number;
    readonly stage: StageName;
    readonly parts: readonly string[];
  }[];
  /** from SIGKILL to the next chunk that another process committed */
  readonly resumeMs: Distribution;
};

const wasKilledInEach = (kills: readonly Kill[]): boolean =>
  stages.every((stage) => kills.some((kill) => kill.stage === stage));

/**
 * Lives of one organization – fan-out, cascade, restore – with workers killed inside, until so many kills are
 * counted, at least one in each stage; each end is compared by SQL with the end of a twin whose worker nobody touched.
 */
export async function runCrashes({
  queue,
  blow: blowName = 'kill',
  kills: wanted,
  seed,
  members,
  parallel,
  killsAStage = 4,
  say,
}: CrashOptions): Promise<CrashReport> {
  const server = await startTemporaryPostgres([
    '-c',
    'max_connections=300',
    '-c',
    'fsync=off',
    '-c',
    'shared_buffers=256MB',
  ]);
  const servers: Servers = { postgres: server, redis: queue === 'redis' ? await startPrivateRedis() : undefined };
  const blow = createBlow(blowName, servers);
  try {
    const admin = new pg.Client({ connectionString: server.url() });
    await admin.connect();
    await admin.query('create database crash_template');
    await admin.end();
    const url = server.url('crash_template');
    const template = createDatabase({ url, max: 2 });
    await migrateReferenceApp(template);
    await migrateAll(template, { databaseUrl: new Secret(url), queue, queuePrefix: 'steward' });
    await sql`insert into steward.installation (key, value) values ('crash', 'true')`.execute(template);
    const organization = await seedLife(template, members);
    await template.destroy();

    const common = {
      adminUrl: server.url(),
      template: 'crash_template',
      organization,
      members,
      redisUrl: servers.redis?.url ?? null,
      blow,
    };
    say('the twin, undisturbed …');
    const twin = await live({ ...common, name: 'crash_twin', killsAStage: 0, random: createRandom(seed) });
    const kills: Kill[] = [];
    const different: { life: number; stage: StageName; parts: string[] }[] = [];
    let lives = 0;
    // A short stage may end before the blow falls, and such a life is not counted: a few more are lived, not endlessly.
    const mostLives = 5 + 3 * Math.ceil(wanted / (killsAStage * stages.length));
    const one = async (): Promise<void> => {
      while (lives < mostLives && (kills.length < wanted || !wasKilledInEach(kills))) {
        lives += 1;
        const life = lives;
        const lived = await live({
          ...common,
          name: `crash_${life}`,
          killsAStage,
          random: createRandom(seed * 1_000 + life),
        });
        kills.push(...lived.kills);
        for (const stage of stages) {
          const parts = differences(lived.after[stage], twin.after[stage]);
          if (parts.length > 0) different.push({ life, stage, parts });
        }
        const { p50, p95, max } = distributionOf(kills.map((kill) => kill.resumeMs));
        say(
          `life ${life}: ${lived.kills.length} kills, ${kills.length}/${wanted} in all, ${different.length} ends differ; resumed after ${p50} ms (p50), ${p95} ms (p95), ${max} ms (max)`,
        );
      }
    };
    await Promise.all(Array.from({ length: blowName === 'kill' ? parallel : 1 }, one));
    const count = <Key extends string>(keyOf: (kill: Kill) => Key): Record<Key, number> => {
      const groups = Map.groupBy(kills, keyOf);
      return Object.fromEntries([...groups].map(([key, list]) => [key, list.length])) as Record<Key, number>;
    };
    return {
      ok: different.length === 0 && kills.length >= wanted && wasKilledInEach(kills),
      queue,
      blow: blowName,
      seed,
      members,
      kills: kills.length,
      byStage: count((kill) => kill.stage),
      byPhase: count((kill) => kill.phase),
      lives,
      different,
      resumeMs: distributionOf(kills.map((kill) => kill.resumeMs)),
    };
  } finally {
    await servers.redis?.stop();
    await server.stop();
  }
}
