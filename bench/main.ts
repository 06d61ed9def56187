import { parseArgs } from 'node:util';
import { benchAll } from './all.ts';
import { render } from './render.ts';
import { runWork } from './run-work.ts';
import { works } from './works.ts';

const usage = `npm run -s bench -- WORK [--members N] [--sample N] [--queue postgres|redis] [--redis-url URL] [--json]

  WORK          ${Object.keys(works).join(' | ')}
                | all: every one, from 1,000 members to --members, on both queues; writes docs/benchmarks.md
  --members N   members of the organization; for cascade: event types (default 100000; all: 1000000)
  --sample N    how many of them the rival does; its time is scaled per row (default 20000)
  --queue       where the worker's queue is, and the rival's: the same Postgres (default), or a Redis of its own
  --redis-url   use this Redis; means --queue redis
  --only A,B    with all: these works; the page keeps what was measured before of the others
  --json        one JSON object on stdout; what each side did, and did not do, as a sentence on stderr

Runs on a fresh embedded Postgres with its default settings (fsync on); everything in one run, on the same data.
`;

class UsageError extends Error {}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 20)
    throw new UsageError(`--${name}: expected a whole number from 20, got ${text}`);
  return value;
}

function queueOf(text: string): 'postgres' | 'redis' {
  if (text !== 'postgres' && text !== 'redis') throw new UsageError(`--queue: expected postgres or redis, got ${text}`);
  return text;
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      members: { type: 'string' },
      sample: { type: 'string', default: '20000' },
      queue: { type: 'string' },
      'redis-url': { type: 'string' },
      only: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [name = '', ...more] = positionals;
  const names = Object.keys(works);
  if (!values.help && ((name !== 'all' && !names.includes(name)) || more.length > 0))
    throw new UsageError(`expected one of ${[...names, 'all'].join(', ')}, got ${positionals.join(' ') || 'nothing'}`);
  const only = values.only?.split(',') ?? names;
  const unknown = only.find((work) => !names.includes(work));
  if (unknown !== undefined) throw new UsageError(`--only: expected some of ${names.join(', ')}, got ${unknown}`);
  return {
    help: values.help,
    json: values.json,
    name,
    only,
    members: wholeNumber('members', values.members ?? (name === 'all' ? '1000000' : '100000')),
    sample: wholeNumber('sample', values.sample),
    queue: queueOf(values.queue ?? (values['redis-url'] ? 'redis' : 'postgres')),
    ...(values['redis-url'] ? { redisUrl: values['redis-url'] } : {}),
  };
}

async function main(): Promise<number> {
  const { help, json, name, only, ...request } = readArguments();
  if (help) {
    process.stdout.write(usage);
    return 0;
  }
  if (name === 'all') {
    const failed = await benchAll({ only, members: request.members, sample: request.sample });
    if (failed.length > 0) process.stderr.write(`bench: failed: ${failed.join('; ')}\n`);
    return failed.length > 0 ? 1 : 0;
  }
  const result = await runWork(name, request);
  const { notes, ...figures } = result;
  if (json) process.stderr.write(`${notes}\n`);
  process.stdout.write(json ? `${JSON.stringify(figures)}\n` : render(result));
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  if (!(error instanceof UsageError) && !code?.startsWith('ERR_PARSE_ARGS')) throw error;
  process.stderr.write(`bench: ${message}\n\n${usage}`);
  process.exitCode = 2;
}
