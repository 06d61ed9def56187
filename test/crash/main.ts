import { parseArgs } from 'node:util';
import { runCrashes } from './run-crashes.ts';

const usage = `npm run crash -- [--queue postgres|redis] [--kills N] [--seed S] [--members N] [--parallel N] [--json]

Kills the worker (SIGKILL) with the cursor strictly inside a fan-out, a cascade or a restore, starts another, and
compares the end with that of a twin whose worker nobody touched. Reports how long it took from each kill to the next
chunk of another worker. Exit code 1 if any end differs.

  --queue Q     what carries the queue: postgres (default) or redis (a private one)
  --kills N     kills to count (default 200)
  --seed S      decides where they fall (default 1)
  --members N   members of the organization (default 2000, with 4000 event types)
  --parallel N  lives at once, each with its own database and worker (default 4)
  --json        one JSON object on stdout, progress on stderr
`;

const { values } = parseArgs({
  options: {
    queue: { type: 'string', default: 'postgres' },
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    members: { type: 'string', default: '2000' },
    parallel: { type: 'string', default: '4' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const whole = (name: 'kills' | 'seed' | 'members' | 'parallel', least: number): number => {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < least)
    throw new Error(`--${name}: expected a whole number from ${least}, got ${values[name]}`);
  return value;
};

const queueKind = (): 'postgres' | 'redis' => {
  const { queue } = values;
  if (queue !== 'postgres' && queue !== 'redis') throw new Error(`--queue: expected postgres or redis, got ${queue}`);
  return queue;
};

if (values.help) process.stderr.write(usage);
else {
  const report = await runCrashes({
    queue: queueKind(),
    kills: whole('kills', 1),
    seed: whole('seed', 0),
    members: whole('members', 400),
    parallel: whole('parallel', 1),
    say: (line) => process.stderr.write(`${line}\n`),
  });
  process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : `${JSON.stringify(report, null, 2)}\n`);
  process.exitCode = report.ok ? 0 : 1;
}
