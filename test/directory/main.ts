import { parseArgs } from 'node:util';
import { createDatabase } from '../../src/db/database.ts';
import { migrateReferenceApp } from '../../src/db/migrate.ts';
import { startTemporaryPostgres } from '../../src/embedded/postgres.ts';
import { migrateAll } from '../../src/queues/migrate-all.ts';
import { Secret } from '../../src/secret.ts';
import { playWalk } from './play-walk.ts';

const usage = `npm run directory -- [--users N] [--faults F] [--seed S] [--simulated] [--json]

Walks the directory of a simulated Zoom account on Business, at the default share of its limits, while meetings are made
through it. Exit code 1 unless the copy is right, no limit was reached, and the calls are pages + 3 (with faults: half as
many again) at most.

  --users N     users of the account, in three states (default 100000)
  --faults F    share of the calls that fail, e.g. 0.2 (default 0)
  --seed S      decides which (default 1)
  --simulated   pauses pass on the simulated clock instead of the wall's
  --json        one JSON object on stdout
`;

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '100000' },
    faults: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    simulated: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const number = (name: 'users' | 'faults' | 'seed', least: number, most: number): number => {
  const value = Number(values[name]);
  if (!(value >= least && value <= most))
    throw new Error(`--${name}: expected ${least} to ${most}, got ${values[name]}`);
  return value;
};

if (values.help) process.stderr.write(usage);
else {
  const server = await startTemporaryPostgres();
  try {
    const url = server.url('postgres');
    const db = createDatabase({ url, max: 2 });
    await migrateReferenceApp(db);
    await migrateAll(db, { databaseUrl: new Secret(url), queue: 'postgres', queuePrefix: 'steward' });
    await db.destroy();
    const faults = number('faults', 0, 0.9);
    const report = await playWalk({
      url,
      users: number('users', 1_000, 10_000_000),
      faults,
      seed: number('seed', 0, 1e9),
      simulated: values.simulated,
    });
    const calls = faults === 0 ? report.calls <= report.pages + 3 : report.callsPerPage <= 1.5;
    const ok = report.equal && report.rateLimited === 0 && calls;
    process.stdout.write(
      values.json
        ? `${JSON.stringify({ ok, ...report })}\n`
        : `${Object.entries({ ok, ...report })
            .map(([name, value]) => `${name}: ${typeof value === 'number' ? Math.round(value * 100) / 100 : value}`)
            .join('\n')}\n`,
    );
    process.exitCode = ok ? 0 : 1;
  } finally {
    await server.stop();
  }
}
