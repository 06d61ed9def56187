import { parseArgs } from 'node:util';
import { sql } from 'kysely';
import { createDatabase } from '../../src/db/database.ts';
import { migrate, migrateReferenceApp } from '../../src/db/migrate.ts';
import { startTemporaryPostgres } from '../../src/embedded/postgres.ts';
import { type FleetReport, runFleet } from './run-fleet.ts';

const usage = `npm run fleet -- [--connections N] [--demotions N] [--revocations N] [--faults SHARE] [--seed S] [--story STORY] [--json]

Verification in virtual time: N connections, each with a Zoom account and a consent of its own, on the cruel simulator. A share
of all calls goes wrong before Zoom acts; within one hour admins are demoted and grants revoked. Exactly those must be found,
each within one period and 15 minutes; all others must be verified on schedule and change no state. Then the same with a
wrong client secret for three hours: nobody told, released after the mend. Exit code 1 if anything is otherwise.

  --connections N   default 1000
  --demotions N     default 3 % of them
  --revocations N   default 1 % of them
  --faults SHARE    of all calls, default 0.3
  --seed S          decides who, when and which calls (default 1)
  --story STORY     schedule, wrong_secret, or both (default)
  --json            one JSON object on stdout, progress on stderr
`;

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '1000' },
    demotions: { type: 'string' },
    revocations: { type: 'string' },
    faults: { type: 'string', default: '0.3' },
    seed: { type: 'string', default: '1' },
    story: { type: 'string', default: 'both' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

function number(name: string, text: string, most: number): number {
  const value = Number(text);
  if (!(value >= 0 && value <= most)) throw new Error(`--${name}: expected a number from 0 to ${most}, got ${text}`);
  return value;
}

function stories(): FleetReport['story'][] {
  const { story } = values;
  if (story === 'both') return ['schedule', 'wrong_secret'];
  if (story === 'schedule' || story === 'wrong_secret') return [story];
  throw new Error(`--story: expected schedule, wrong_secret or both, got ${story}`);
}

if (values.help) process.stderr.write(usage);
else {
  const connections = number('connections', values.connections, 100_000);
  const server = await startTemporaryPostgres(['-c', 'max_connections=60', '-c', 'fsync=off']);
  const reports: FleetReport[] = [];
  try {
    for (const story of stories()) {
      const admin = createDatabase({ url: server.url(), max: 1 });
      await sql.raw(`create database fleet_${story}`).execute(admin);
      await admin.destroy();
      const db = createDatabase({ url: server.url(`fleet_${story}`), max: 20 });
      await migrateReferenceApp(db);
      await migrate(db);
      reports.push(
        await runFleet(db, {
          connections,
          demotions: number('demotions', values.demotions ?? String(Math.round(connections * 0.03)), connections),
          revocations: number('revocations', values.revocations ?? String(Math.round(connections * 0.01)), connections),
          faults: number('faults', values.faults, 0.9),
          seed: number('seed', values.seed, 2 ** 31),
          story,
          say: (line) => process.stderr.write(`${story}: ${line}\n`),
        }),
      );
      await db.destroy();
    }
  } finally {
    await server.stop();
  }
  const ok = reports.every(({ problems }) => problems.length === 0);
  process.stdout.write(`${JSON.stringify({ ok, reports }, null, values.json ? undefined : 2)}\n`);
  process.exitCode = ok ? 0 : 1;
}
