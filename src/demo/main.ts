import { createWriteStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { StewardError } from '../errors.ts';
import { createChecker } from './checker.ts';
import { checks, type Moment } from './checks.ts';
import { type CheckResult, createNarrator, type StepResult } from './report.ts';
import { setStage } from './stage.ts';
import { writeStory } from './story.ts';

export type DemoOptions = {
  readonly members: number;
  readonly queue: 'postgres' | 'redis';
  readonly seed: number;
  /** name of a check whose subject is damaged before it is asked; null: none */
  readonly breakCheck: string | null;
  /** where the story is told */
  readonly out: Writable & { isTTY?: boolean };
  readonly color: boolean;
  /** told when the checks of a moment are answered, with the database as it stands: tests try every damage there */
  readonly afterMoment?: (db: Database, moment: Moment) => Promise<void>;
};

export type DemoReport = {
  readonly ok: boolean;
  readonly members: number;
  readonly queue: 'postgres' | 'redis';
  /** the whole story, checks and everything that starts and stops included */
  readonly totalMs: number;
  /** the server that carried the queue, the id it gave itself when it started, and the jobs that went through it, by kind */
  readonly queueServer: {
    readonly name: string;
    readonly runId: string;
    readonly jobs: Readonly<Record<string, number>>;
  };
  readonly seed: number;
  readonly steps: readonly StepResult[];
  readonly checks: readonly CheckResult[];
};

/** Names for `--break`. */
export const checkNames: readonly string[] = checks.map((check) => check.name);

/**
 * Plays the whole story on a fresh embedded database, a queue of its own and a Zoom at its most cruel.
 * @throws StewardError `unknown_check` for a check that does not exist
 */
export async function runDemo(options: DemoOptions): Promise<DemoReport> {
  if (options.breakCheck !== null && !checkNames.includes(options.breakCheck)) {
    throw new StewardError(
      'unknown_check',
      `Expected the name of a check, got "${options.breakCheck}"; the checks are:\n  ${checkNames.join('\n  ')}`,
    );
  }
  const narrator = createNarrator(options.out, { color: options.color });
  const logFile = join(tmpdir(), `zoom-steward-demo-${process.pid}.log`);
  const log = createWriteStream(logFile);
  narrator.step(`A fresh database, a ${options.queue} queue, and a Zoom at its most cruel`);
  const begun = performance.now();
  const steps: StepResult[] = [];
  let results: readonly CheckResult[] = [];
  const timed = async <T>(
    name: string,
    work: () => Promise<T>,
    counts: (value: T) => StepResult['counts'],
  ): Promise<T> => {
    const started = performance.now();
    const value = await work();
    steps.push({ name, ms: Math.round(performance.now() - started), counts: counts(value) });
    return value;
  };
  const stage = await timed(
    'stage',
    () => setStage({ ...options, log }),
    () => ({ members: options.members }),
  );
  const checker = createChecker({
    db: stage.checksDb,
    narrator,
    breakCheck: options.breakCheck,
    afterMoment: options.afterMoment,
  });
  let failed: unknown;
  try {
    narrator.tell(
      `${options.members.toLocaleString('en-US')} members, seed ${options.seed}; logs of worker and server in ${logFile}`,
    );
    for (const scene of writeStory(stage, narrator)) {
      narrator.step(scene.title);
      await timed(
        scene.name,
        () => scene.play(),
        (counts) => counts,
      );
      checker.tell();
      if (scene.moment === undefined) continue;
      if (scene.moment === 'end') await judge(stage);
      const at = steps.length - 1;
      await checker.after(scene.title, scene.moment, (checksMs) => {
        steps[at] = { ...(steps[at] as StepResult), checksMs };
      });
    }
    results = await checker.end();
  } catch (error) {
    failed = error;
  }
  await checker.settle();
  const jobs = stage.jobCounts();
  await stage.stop().catch((error: unknown) => {
    failed ??= error;
  });
  await new Promise<void>((resolve) => log.end(() => resolve()));
  if (failed !== undefined) throw failed;
  return {
    ok: results.length === checks.length && results.every((result) => result.ok),
    members: options.members,
    queue: options.queue,
    totalMs: Math.round(performance.now() - begun),
    queueServer: { name: stage.queue.server, runId: stage.queue.runId, jobs },
    seed: options.seed,
    steps,
    checks: results,
  };
}

/** Files for the last checks what no table of ours says: how Zoom's ledger of every call is judged, and what the queue holds. */
async function judge({ zoom, services }: Awaited<ReturnType<typeof setStage>>): Promise<void> {
  const { calls, findings } = zoom.judge();
  await sql`insert into story.numbers values ('judged_calls', ${calls})`.execute(services.db);
  for (const { rule, detail } of findings)
    await sql`insert into story.findings values (${rule}, ${detail})`.execute(services.db);
  await sql`
    insert into story.queue_content
    select table_name, query_to_xml(format('select * from bullmq.%I', table_name), false, false, '')::text
      from information_schema.tables where table_schema = 'bullmq' and table_type = 'BASE TABLE'`.execute(services.db);
}
