import { parseArgs } from 'node:util';
import { type BlowName, blowNames } from './blows.ts';
import { runCrashes } from './run-crashes.ts';

const usage = `npm run crash -- [--queue postgres|redis] [--blow B] [--kills N] [--seed S] [--members N] [--parallel N] [--json]

Kills (SIGKILL) that of two workers which is inside a chunk of a fan-out, a cascade or a restore, starts another, and
compares the end with that of a twin whose workers nobody touched. Reports how long it took from each kill to the next
chunk of the other worker. Exit code 1 if any end differs.

  --queue Q     what carries the queue: postgres (default) or redis (a private one)
  --blow B      what happens inside a run: kill (default) the worker, or, with the worker going on, wipe the queue,
                restart-postgres, restart-redis (which comes back empty)
  --kills N     blows to count (default 200)
  --seed S      decides where they fall (default 1)
  --members N   members of the organization (default 2000, with 4000 event types)
  --parallel N  lives at once, each with its own database and worker (default 4)
  --json        one JSON object on stdout, progress on stderr
`;

const { values } = parseArgs({
  options: {
    queue: { type: 'string', default: 'postgres' },
    blow: { type: 'string', default: 'kill' },
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

const blowName = (): BlowName => {
  const found = blowNames.find((name) => name === values.blow);
  if (!found) throw new Error(`--blow: expected one of ${blowNames.join(', ')}, got ${values.blow}`);
  if (found === 'restart-redis' && values.queue !== 'redis')
    throw new Error('--blow restart-redis: expected --queue redis');
  return found;
};

if (values.help) process.stderr.write(usage);
else {
  const report = await runCrashes({
    queue: queueKind(),
    blow: blowName(),
    kills: whole('kills', 1),
    seed: whole('seed', 0),
    members: whole('members', 400),
    parallel: whole('parallel', 1),
    say: (line) => process.stderr.write(`${line}\n`),
  });
  process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : `${JSON.stringify(report, null, 2)}\n`);
  process.exitCode = report.ok ? 0 : 1;
}
