import { parseArgs } from 'node:util';
import { createDatabase } from '../../src/db/database.ts';
import { migrateReferenceApp } from '../../src/db/migrate.ts';
import { startTemporaryPostgres } from '../../src/embedded/postgres.ts';
import { migrateAll } from '../../src/queues/migrate-all.ts';
import { Secret } from '../../src/secret.ts';
import { measureWalks } from './measure-walk.ts';
import { playWalk } from './play-walk.ts';

const usage = `npm run directory -- [--users N] [--faults F] [--seed S] [--simulated] [--json]

Walks the directory of a simulated Zoom account on Business, at the default share of its limits, while meetings are made
through it. Exit code 1 unless the copy is right, no limit was reached, and the calls are pages + 3 (with faults: half as
many again) at most.

  --users N     users of the account, in three states (default 100000)
  --faults F    share of the calls that fail, e.g. 0.2 (default 0)
  --seed S      decides which (default 1)
  --apart U,U   instead: walks accounts of these sizes one after the other, the simulator a process of its own, under a
                contract of --medium calls a second; tells what a page costs and how much memory the walk holds. Exit code 1
                unless the last walk held at most 16 MB more than the first
  --medium N    medium calls a second of that contract (default 60, Business)
  --share S     of them, for --apart (default 0.25)
  --silent      no answer carries X-RateLimit headers: the walk stays at Pro's limits
  --simulated   pauses pass on the simulated clock instead of the wall's
  --json        one JSON object on stdout
`;

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '100000' },
    faults: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    apart: { type: 'string' },
    medium: { type: 'string', default: '60' },
    share: { type: 'string', default: '0.25' },
    silent: { type: 'boolean', default: false },
    simulated: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

/** What a walk of many times the users may hold more. */
const flatMb = 16;

const number = (name: 'users' | 'faults' | 'seed' | 'medium' | 'share', least: number, most: number): number => {
  const value = Number(values[name]);
  if (!(value >= least && value <= most))
    throw new Error(`--${name}: expected ${least} to ${most}, got ${values[name]}`);
  return value;
};

async function measure(url: string, sizes: string): Promise<boolean> {
  const users = sizes.split(',').map(Number);
  if (!users.every((size) => size >= 1_000 && size <= 10_000_000))
    throw new Error(`--apart: expected sizes from 1000 to 10000000, separated by commas, got ${sizes}`);
  const walks = await measureWalks({
    url,
    users,
    mediumPerSecond: number('medium', 1, 1_000),
    share: number('share', 0.01, 1),
  });
  const ok = (walks.at(-1)?.heldMb ?? 0) <= (walks[0]?.heldMb ?? 0) + flatMb;
  process.stdout.write(`${JSON.stringify({ ok, walks }, null, values.json ? undefined : 2)}\n`);
  return ok;
}

async function play(url: string): Promise<boolean> {
  const faults = number('faults', 0, 0.9);
  const report = await playWalk({
    url,
    users: number('users', 1_000, 10_000_000),
    faults,
    seed: number('seed', 0, 1e9),
    simulated: values.simulated,
    silent: values.silent,
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
  return ok;
}

if (values.help) process.stderr.write(usage);
else {
  const server = await startTemporaryPostgres();
  try {
    const url = server.url('postgres');
    const db = createDatabase({ url, max: 2 });
    await migrateReferenceApp(db);
    await migrateAll(db, { databaseUrl: new Secret(url), queue: 'postgres', queuePrefix: 'steward' });
    await db.destroy();
    process.exitCode = (await (values.apart === undefined ? play(url) : measure(url, values.apart))) ? 0 : 1;
  } finally {
    await server.stop();
  }
}
