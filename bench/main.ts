import { parseArgs } from 'node:util';
import { createDatabase } from '../src/db/database.ts';
import { migrateReferenceApp } from '../src/db/migrate.ts';
import { startTemporaryPostgres } from '../src/embedded/postgres.ts';
import { migrateAll } from '../src/queues/migrate-all.ts';
import { Secret } from '../src/secret.ts';
import { type BenchResult, works } from './works.ts';

const usage = `npm run -s bench -- WORK [--members N] [--sample N] [--redis-url URL] [--json]

  WORK          ${Object.keys(works).join(' | ')}
  --members N   members of the organization; for cascade: event types (default 100000)
  --sample N    how many of them the rival does; its time is scaled per row (default 20000)
  --redis-url   let the rival of fanout run on this Redis instead of Postgres
  --json        one JSON object on stdout; what each side did, and did not do, as a sentence on stderr

Runs on a fresh embedded Postgres with its default settings (fsync on); everything in one run, on the same data.
`;

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 20)
    throw new UsageError(`--${name}: expected a whole number from 20, got ${text}`);
  return value;
}

class UsageError extends Error {}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      members: { type: 'string', default: '100000' },
      sample: { type: 'string', default: '20000' },
      'redis-url': { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [name, ...more] = positionals;
  const work = works[name ?? ''];
  if (!values.help && (!work || more.length > 0))
    throw new UsageError(`expected one of ${Object.keys(works).join(', ')}, got ${positionals.join(' ') || 'nothing'}`);
  const members = wholeNumber('members', values.members);
  const sample = wholeNumber('sample', values.sample);
  return { values, work, members, sample };
}

async function main(): Promise<number> {
  const { values, work, members, sample } = readArguments();
  if (values.help || !work) {
    process.stdout.write(usage);
    return 0;
  }
  const server = await startTemporaryPostgres([
    '-c',
    'max_connections=150',
    '-c',
    'shared_buffers=512MB',
    '-c',
    'max_wal_size=4GB',
  ]);
  try {
    const databaseUrl = server.url();
    const db = createDatabase({ url: databaseUrl, max: 10 });
    await migrateReferenceApp(db);
    await migrateAll(db, { databaseUrl: new Secret(databaseUrl), queue: 'postgres', queuePrefix: 'steward' });
    const redisUrl = values['redis-url'];
    const result = await work({ db, databaseUrl, ...(redisUrl ? { redisUrl } : {}), members, sample });
    await db.destroy();
    const { notes, ...figures } = result;
    if (values.json) process.stderr.write(`${notes}\n`);
    process.stdout.write(values.json ? `${JSON.stringify(figures)}\n` : render(result));
    return 0;
  } finally {
    await server.stop();
  }
}

function render(result: BenchResult): string {
  const line = (name: string, value: string | null): string =>
    value === null ? '' : `  ${name.padEnd(10)} ${value}\n`;
  return `${result.work}, ${result.members.toLocaleString('en-US')}\n${line('ours', `${result.ours.s} s`)}${line(
    'limit',
    result.limit && `${result.limit.s} s  (ours is ${result.ratioToLimit} × that)`,
  )}${line(
    'rival',
    result.rival &&
      `${result.rival.s} s for ${result.rival.members.toLocaleString('en-US')}: ${result.rival.name}${result.timesFaster === null ? '' : `  (ours is ${result.timesFaster} × faster a row)`}`,
  )}${line('latency', result.p50Ms === null ? null : `p50 ${result.p50Ms} ms, p99 ${result.p99Ms} ms`)}${line(
    'memory',
    result.peakRssMb === null ? null : `${result.peakRssMb} MB at most, the worker process alone`,
  )}${line('notes', result.notes)}`;
}

try {
  process.exitCode = await main();
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  if (!(error instanceof UsageError) && !code?.startsWith('ERR_PARSE_ARGS')) throw error;
  process.stderr.write(`bench: ${message}\n\n${usage}`);
  process.exitCode = 2;
}
