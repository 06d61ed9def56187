import { parseArgs } from 'node:util';
import { createDatabase } from '../../src/db/database.ts';
import { migrate, migrateReferenceApp } from '../../src/db/migrate.ts';
import { startTemporaryPostgres } from '../../src/embedded/postgres.ts';
import { pairwiseProfiles } from '../../src/simulator/pairwise.ts';
import { type RoundsReport, runRounds } from './run-rounds.ts';

const usage = `npm run refresh-rounds -- [--rounds N] [--profile P]… [--seed S] [--real-every N] [--only R] [--json]

Kills whoever refreshes a grant at a drawn moment, or spoils Zoom's answer, and has the simulator's ledger judge what became
of the grant: nothing that Zoom still takes is given up, what survives by lifecycle §3 survives, what nobody can save ends
as refresh_lost in time, nothing of ours is named revoked, and no refresh token goes out again too early. Exit code 1
otherwise.

  --rounds N      rounds a profile (default 1000)
  --profile P     kind, cruel, pairwise-N, or pairwise for all of them; again for more (default kind and cruel)
  --seed S        decides what happens (default 1)
  --real-every N  one of so many rounds is a process of its own and SIGKILL (default 20; 0: none). The others die inside one
                  process: their promises stop, and lease, margin and second look pass by the virtual clock
  --only R        this round alone
  --json          one JSON object on stdout, progress on stderr
`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1000' },
    profile: { type: 'string', multiple: true, default: ['kind', 'cruel'] },
    seed: { type: 'string', default: '1' },
    'real-every': { type: 'string', default: '20' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const whole = (name: 'rounds' | 'seed' | 'real-every' | 'only', least: number): number => {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < least)
    throw new Error(`--${name}: expected a whole number from ${least}, got ${values[name]}`);
  return value;
};

async function run(): Promise<readonly RoundsReport[]> {
  const server = await startTemporaryPostgres(['-c', 'fsync=off', '-c', 'synchronous_commit=off']);
  const databaseUrl = server.url();
  const db = createDatabase({ url: databaseUrl });
  try {
    await migrateReferenceApp(db);
    await migrate(db);
    const reports: RoundsReport[] = [];
    const all = pairwiseProfiles().map((_, at) => `pairwise-${at}`);
    for (const profile of values.profile.flatMap((name) => (name === 'pairwise' ? all : [name])))
      reports.push(
        await runRounds({
          ...{ db, databaseUrl, profile, rounds: whole('rounds', 1), seed: whole('seed', 0) },
          realEvery: whole('real-every', 0),
          ...(values.only !== undefined && { only: whole('only', 1) }),
          say: (line) => process.stderr.write(`${line}\n`),
        }),
      );
    return reports;
  } finally {
    await db.destroy();
    await server.stop();
  }
}

if (values.help) process.stderr.write(usage);
else {
  const reports = await run();
  const ok = reports.every((report) => report.ok);
  process.stdout.write(`${JSON.stringify({ ok, reports }, null, values.json ? 0 : 2)}\n`);
  process.exitCode = ok ? 0 : 1;
}
