import fc from 'fast-check';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { fileGrant } from '../../src/grants/grant-repository.ts';
import type { Grants } from '../../src/grants/grants.ts';
import type { TokenAnswer } from '../../src/zoom/oauth.ts';
import { useDatabase } from '../support/database.ts';
import { tokens } from './scripted-zoom.ts';
import { adminClient, advanceClock, api, endAccessToken, fileOne, grantRow, playGrants, testVault } from './setting.ts';

const database = useDatabase({ max: 20 });
const httpMs = 30_000;
const runs = Number(process.env.STEWARD_INTERLEAVINGS ?? 50);

/** What becomes of a request: Zoom rotated or not, and whether we hear of it. */
type Fate = 'answered' | 'answer_lost' | 'not_processed' | 'server' | 'application' | 'not_sent';
const fates: readonly Fate[] = [
  'answered',
  'answer_lost',
  'answer_lost',
  'not_processed',
  'server',
  'application',
  'not_sent',
];

type Request = { readonly sentAtMs: number; readonly token: string; over: boolean; end(fate: Fate): void };

/** Zoom with a ledger: one living refresh token, every request open until the test decides its fate. */
async function playWorld(db: Database) {
  await sql`delete from steward.client_states`.execute(db);
  const { grantId, family } = await fileOne(db);
  const row = await grantRow(db, grantId);
  const requests: Request[] = [];
  const violations: string[] = [];
  let living = `refresh-${family}-0`;
  let made = 0;
  let lost = false;
  let movedMs = 0;
  // Processes between their look at the lease and the request: no hour passes there, they would notice.
  const sending = new Set<string>();
  const nowMs = (): number => performance.now() + movedMs;

  async function refresh(token: string): Promise<TokenAnswer> {
    const sentAtMs = nowMs();
    const onItsWay = requests.filter((request) => !request.over && request.sentAtMs + httpMs > sentAtMs);
    if (onItsWay.length > 0)
      violations.push(`${token} sent while ${onItsWay.map((request) => request.token)} on its way`);
    return await new Promise<TokenAnswer>((resolve) => {
      const request: Request = {
        sentAtMs,
        token,
        over: false,
        end(fate) {
          request.over = true;
          if (fate === 'not_sent') return resolve({ kind: 'not_sent', detail: 'ECONNREFUSED' });
          if (fate === 'server') return resolve({ kind: 'server', status: 503, retryAfterMs: null, detail: '' });
          if (fate === 'application') return resolve({ kind: 'application', code: 'invalid_client', detail: '' });
          if (fate === 'not_processed') return resolve({ kind: 'unknown', detail: 'reset' });
          if (token !== living) return resolve({ kind: 'grant', code: 'invalid_grant', detail: '' });
          made += 1;
          living = `refresh-${family}-n${made}`;
          if (fate === 'answered') return resolve(tokens(`${family}-n${made}`));
          lost = true;
          resolve({ kind: 'unknown', detail: 'time-out' });
        },
      };
      requests.push(request);
    });
  }

  const makeProcess = (name: string) => {
    let killed = false;
    let paused: { readonly ended: Promise<void>; readonly end: () => void } | null = null;
    const never = new Promise<never>(() => {});
    const { grants } = playGrants(db, {
      holder: name,
      times: { pollMs: 5, patienceMs: 60 },
      oauth: {
        refresh: async (_client, _secret, token) => {
          sending.delete(name);
          const answer = await refresh(token.reveal());
          return killed ? await never : answer;
        },
        revoke: async () => ({ kind: 'revoked' }),
      },
      async onCrashPoint(point) {
        if (point === 'acquired') await paused?.ended;
        if (killed) await never;
        if (point === 'acquired') sending.add(name);
        if (point === 'recorded') sending.delete(name);
      },
    });
    return {
      grants,
      pause() {
        const { promise, resolve } = Promise.withResolvers<void>();
        paused ??= { ended: promise, end: resolve };
      },
      resume() {
        paused?.end();
        paused = null;
      },
      kill() {
        killed = true;
        sending.delete(name);
      },
    };
  };

  return {
    grantId,
    violations,
    requests,
    makeProcess,
    async advance(ms: number, processed: boolean): Promise<void> {
      while (sending.size > 0) await breathe(1);
      // No request outlives its time-out: the client gives up at 30 s, whether Zoom acted or not.
      movedMs += ms;
      for (const request of requests) {
        if (!request.over && nowMs() >= request.sentAtMs + httpMs)
          request.end(processed ? 'answer_lost' : 'not_processed');
      }
      await advanceClock(db, ms);
    },
    isLost: () => lost,
    living: () => living,
    async consent(): Promise<void> {
      made += 1;
      living = `refresh-${family}-n${made}`;
      lost = false;
      await db.transaction().execute((trx) =>
        fileGrant(trx, testVault, {
          client: adminClient,
          zoomAccountId: row.zoom_account_id,
          zoomUserId: row.zoom_user_id,
          zoomUserEmail: null,
          tokens: tokens(`${family}-n${made}`),
          api,
        }),
      );
      await endAccessToken(db, grantId);
    },
  };
}

type World = Awaited<ReturnType<typeof playWorld>>;
type Real = {
  readonly world: World;
  readonly processes: ReturnType<World['makeProcess']>[];
  readonly waiting: Promise<unknown>[];
};

const openRequest = ({ world }: Real): Request | undefined => world.requests.find((request) => !request.over);

/** One step of the story; told to fast-check so that a failing one is shown short. */
const command = (name: string, run: (real: Real) => Promise<void>): fc.AsyncCommand<object, Real> => ({
  check: () => true,
  run: (_model, real) => run(real),
  toString: () => name,
});

const breathe = async (trips: number): Promise<void> => {
  for (let trip = 0; trip < trips; trip += 1) await sql`select 1`.execute(database.db);
};

const someProcess = fc.nat({ max: 2 });
const pick = (real: Real, at: number): Grants => real.processes[at]?.grants as Grants;

const commands = [
  ...Array.from({ length: 4 }, () =>
    fc.tuple(someProcess, fc.nat({ max: 16 }), fc.boolean()).map(([at, trips, ended]) =>
      command(`call(${at}, ${trips}, ${ended})`, async (real) => {
        if (ended) await endAccessToken(database.db, real.world.grantId);
        real.waiting.push(pick(real, at).accessToken(real.world.grantId));
        await breathe(trips);
      }),
    ),
  ),
  fc.constant(
    command('callAll', async (real) => {
      for (const { grants } of real.processes) real.waiting.push(grants.accessToken(real.world.grantId));
    }),
  ),
  someProcess.map((at) =>
    command(`secondLook(${at})`, async (real) => void pick(real, at).secondLook(real.world.grantId)),
  ),
  someProcess.map((at) => command(`pause(${at})`, async (real) => real.processes[at]?.pause())),
  someProcess.map((at) => command(`resume(${at})`, async (real) => real.processes[at]?.resume())),
  ...Array.from({ length: 3 }, () =>
    fc.constantFrom(...fates).map((fate) =>
      command(`fate(${fate})`, async (real) => {
        openRequest(real)?.end(fate);
        await breathe(6);
      }),
    ),
  ),
  fc
    .tuple(fc.constantFrom(1_000, 20_000, 31_000, 61_000, 11 * 60_000), fc.boolean())
    .map(([ms, processed]) => command(`advance(${ms}, ${processed})`, (real) => real.world.advance(ms, processed))),
  fc.tuple(someProcess, fc.boolean()).map(([at, processed]) =>
    command(`kill(${at}, ${processed})`, async (real) => {
      const killed = real.processes[at];
      killed?.kill();
      real.processes[at] = real.world.makeProcess(`p${at}${real.waiting.length}`);
      if (processed) openRequest(real)?.end('answer_lost');
    }),
  ),
  fc.constant(command('consent', (real) => real.world.consent())),
  fc.constant(command('expire', (real) => endAccessToken(database.db, real.world.grantId))),
  // Lets what was started get somewhere: a round trip to the database for each process.
  fc.constant(command('breathe', () => breathe(5))),
];

async function runToTheEnd(real: Real): Promise<string> {
  const { world } = real;
  const judge = world.makeProcess('judge');
  for (const process of real.processes) process.resume();
  await Promise.all(real.waiting);
  for (let round = 0; round < 12; round += 1) {
    for (const request of world.requests) if (!request.over) request.end('not_processed');
    await world.advance(11 * 60_000, false);
    const asked = judge.grants.accessToken(world.grantId, { patienceMs: 5_000 });
    const answering = (async () => {
      for (;;) {
        openRequest(real)?.end('answered');
        const done = await Promise.race([asked, breathe(1).then(() => null)]);
        if (done) return done;
      }
    })();
    const got = await answering;
    if (got.kind === 'token' && round > 0) return 'token';
    if (got.kind === 'dead') return got.reason;
  }
  return 'no end';
}

test('random interleavings of callers, answers, deaths, pauses and consents: never two refreshes of a grant on their way', async () => {
  let overlapping = 0;
  const ends: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { size: 'max', maxCommands: 40 }), async (steps) => {
      const world = await playWorld(database.db);
      const real: Real = { world, processes: [0, 1, 2].map((at) => world.makeProcess(`p${at}`)), waiting: [] };
      await fc.asyncModelRun(() => ({ model: {}, real }), steps);
      const end = await runToTheEnd(real);
      ends[end] = (ends[end] ?? 0) + 1;
      overlapping += world.requests.length;
      expect(world.violations).toEqual([]);
      // What Zoom still accepts is never given up, and what we lost is never called the customer's doing.
      const row = await grantRow(database.db, world.grantId);
      const held = testVault.open(row.sealed_refresh ?? '', {
        table: 'grants',
        column: 'sealed_refresh',
        id: row.id,
        clientId: row.client_id,
        version: row.version,
      });
      if (held.ok && held.secret.reveal() === world.living()) expect(end).toBe('token');
      else expect([end, world.isLost()]).toEqual(['refresh_lost', true]);
    }),
    { numRuns: runs, ...(process.env.STEWARD_SEED && { seed: Number(process.env.STEWARD_SEED) }) },
  );
  // A property that never refreshes, or never loses, would say nothing.
  expect(overlapping).toBeGreaterThan(runs);
  expect(ends.token).toBeGreaterThan(0);
  expect(ends.refresh_lost).toBeGreaterThan(0);
}, 120_000);
