import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../src/db/database.ts';
import { type CrashPoint, crashPoints } from '../../src/grants/crash-points.ts';
import { listDueGrants } from '../../src/grants/grant-repository.ts';
import type { Random } from '../crash/random.ts';
import { startRefresher } from '../grants/refresher-process.ts';
import { endAccessToken, grantRow, testVault } from '../grants/setting.ts';
import { type SimulatedZoom, simulatedClient } from '../grants/simulated-zoom.ts';
import type { Fate } from './fates.ts';
import { createMortal, isJournaled, until } from './mortal.ts';
import type { Played } from './referee.ts';

const minuteMs = 60_000;
/** the worker's own (STEWARD_TICK_MS) */
const tickMs = 15_000;
/** lease and margin are over */
const overMs = 61_000;
const longestRoundMs = 40 * minuteMs;
/** of a caller who does not wait for what others do */
const shortMs = 2;
/** a killed process is killed so soon after it began: a refresh takes about half of it */
const anyTimeMs = 40;

export type Stage = {
  readonly db: Database;
  readonly databaseUrl: string;
  readonly zoom: SimulatedZoom;
  /** what goes on after its round; to be waited for before the database goes */
  readonly afterwards: Promise<unknown>[];
};

type Strike = {
  readonly fate: Fate;
  readonly grantId: string;
  /** how many ask at once in the process that meets it */
  readonly callers: number;
  readonly random: Random;
  readonly others: {
    /** moves our clock and Zoom's */
    advance(ms: number): Promise<void>;
    /** those who are still there ask and look */
    look(): Promise<void>;
  };
};

const refreshCalls = ({ zoom }: Stage) => zoom.simulator.ledger().filter((entry) => entry.endpoint === 'oauth.refresh');
const rotationsOf = (stage: Stage): number => refreshCalls(stage).filter(({ did }) => did.includes('rotated')).length;

/** A process of its own and SIGKILL. */
async function strikeReal({ databaseUrl, zoom }: Stage, { fate, grantId, callers, random }: Strike): Promise<void> {
  const at = fate.diesAt;
  const dieAt = at !== undefined && at !== 'sent' ? at : null;
  const child = await startRefresher({ databaseUrl, zoomUrl: zoom.simulator.url, grantId, callers, dieAt });
  child.begin().catch(() => {});
  if (at === 'sent') await zoom.simulator.control.waitForCalls({ endpoint: 'oauth.refresh', count: 1 });
  if (at === undefined) await sleep(random.next() * anyTimeMs);
  if (dieAt === null) child.kill();
  await child.ended;
}

/** The same inside this process: its promises stop, its clock is the virtual one. */
async function strike(stage: Stage, { fate, grantId, callers, others }: Strike): Promise<void> {
  const { db, zoom } = stage;
  const { control } = zoom.simulator;
  const added = fate.fault && control.addFault({ endpoint: 'oauth.refresh', ...fate.fault });
  const folder = fate.also === 'journal' ? await mkdtemp(join(tmpdir(), 'steward-rounds-')) : null;
  const journalFile = folder === null ? null : join(folder, 'pairs');
  const mortal = createMortal(stage, { fate, journalFile });
  const asking = Array.from({ length: callers }, () => mortal.grants.accessToken(grantId, { patienceMs: 100 }));
  await mortal.acquired;
  if (fate.pausesAt !== undefined) {
    await mortal.paused;
    await others.advance(overMs);
    await others.look();
    mortal.goOn();
  }
  if (fate.also === 'database_away') {
    await until('the answer', () => refreshCalls(stage).some(({ outcome }) => outcome === 'answered'));
    await sleep(20);
    mortal.comesBack();
  }
  if (folder !== null && journalFile !== null) {
    await until('the pair to be on disk', () => isJournaled(folder));
    mortal.die();
    await zoom.grants(db, { holder: 'successor', journalFile }).replayJournal();
    stage.afterwards.push(mortal.bury().then(() => rm(folder, { recursive: true, force: true })));
  } else if (fate.diesAt === 'sent') {
    await control.waitForCalls({ endpoint: 'oauth.refresh', count: 1 });
    mortal.die();
  } else if (fate.diesAt !== undefined) await until(`death at ${fate.diesAt}`, () => mortal.isDead());
  else await mortal.grants.settle();
  if (added && fate.also === 'late_act') {
    control.releaseFault(added);
    // Rotated or, where Zoom keeps the refresh token, renewed.
    await until('Zoom to act late', () => refreshCalls(stage).some(({ did }) => did.length > 0));
  }
  // Whoever asked a dead process hears nothing, and looks at the database until its patience is over.
  if (mortal.isDead()) stage.afterwards.push(Promise.race([Promise.allSettled(asking), sleep(1_000)]));
  else await Promise.all(asking);
}

/** Asks Zoom itself about the refresh token of a grant that was given up: the round is over, it may cost the token. */
async function zoomTakes({ zoom }: Stage, row: Awaited<ReturnType<typeof grantRow>>): Promise<boolean> {
  const place = { table: 'grants', column: 'sealed_refresh', id: row.id, clientId: row.client_id } as const;
  const opened = testVault.open(row.sealed_refresh ?? '', { ...place, version: Number(row.version) });
  const [secret] = simulatedClient.secrets;
  if (!opened.ok || !secret) throw new Error('Expected a dead grant to keep its sealed tokens');
  return (await zoom.oauth().refresh(simulatedClient, secret, opened.secret)).kind === 'tokens';
}

/**
 * One life of one grant: a consent, a refresh that meets its fate while others ask too, and what those do afterwards –
 * callers, and a tick every 15 seconds of the virtual clock –, until there is a pair that was refreshed once more, or a
 * death.
 * @param real a process of its own, ended by SIGKILL
 */
export async function playRound(
  stage: Stage,
  { fate, random, real }: { readonly fate: Fate; readonly random: Random; readonly real: boolean },
): Promise<Played> {
  const { db, zoom } = stage;
  const { control } = zoom.simulator;
  control.clearLedger();
  const { grantId, accountId } = await zoom.fileByConsent(db);
  const filedAs = Number((await grantRow(db, grantId)).version);
  const survivor = zoom.grants(db, { holder: 'survivor', times: { pollMs: 5 } });
  const isAskedFor = random.next() < 0.5;
  let virtualMs = 0;
  let suspectAfterMs: number | null = null;
  let deadAfterMs: number | null = null;
  const advance = async (ms: number): Promise<void> => {
    virtualMs += ms;
    await zoom.advance(db, ms);
  };
  const look = async () => {
    const due = await listDueGrants(db, 500);
    if (isAskedFor) await survivor.accessToken(grantId, { patienceMs: shortMs });
    if (due.some(({ id }) => id === grantId)) await survivor.secondLook(grantId);
    await survivor.settle();
    const row = await grantRow(db, grantId);
    if (row.state === 'suspect') suspectAfterMs ??= virtualMs;
    if (row.state === 'dead') deadAfterMs ??= virtualMs;
    return row;
  };
  /** Whether it came to an end: a usable pair, or a death. */
  const settle = async (): Promise<boolean> => {
    for (; virtualMs < longestRoundMs; ) {
      const row = await look();
      if (row.state === 'dead') return true;
      if (row.state === 'living') {
        // Nothing is owed for a refresh that was not sent: somebody asks again some time.
        const waitsMs = virtualMs > 2 * minuteMs ? 50 : isAskedFor ? shortMs : 0;
        const got = await survivor.accessToken(grantId, { patienceMs: waitsMs });
        await survivor.settle();
        if (got.kind === 'token') return true;
      }
      const early = suspectAfterMs !== null && virtualMs - suspectAfterMs < 8 * minuteMs;
      await advance(early ? 4 * minuteMs : tickMs);
    }
    return false;
  };

  if (fate.also === 'customer_revokes') control.revokeGrants({ clientId: simulatedClient.clientId, accountId });
  const callers = 1 + Math.floor(random.next() * 3);
  if (real && fate.fault) control.addFault({ endpoint: 'oauth.refresh', ...fate.fault });
  await (real ? strikeReal : strike)(stage, {
    fate,
    grantId,
    callers,
    random,
    others: { advance, look: () => look().then(() => {}) },
  });
  control.clearFaults();
  let ended = await settle();
  // The pair that is held is the proof: one more refresh, by whoever is there.
  if (ended && (await grantRow(db, grantId)).state === 'living') {
    await endAccessToken(db, grantId);
    ended = await settle();
  }
  const lostAnswers = fate.expected === 'survives' ? 0 : 1;
  const { findings } = zoom.simulator.judge({ quietMs: 45_000, lostAnswers });
  const row = await grantRow(db, grantId);
  const rotations = rotationsOf(stage);
  const takes = row.state === 'dead' ? await zoomTakes(stage, row) : row.state === 'living' && ended;
  await survivor.close();
  // Whoever comes next finds no pause and no breaker of this one.
  await zoom.advance(db, 11 * minuteMs);
  return {
    ended,
    state: row.state,
    deadReason: row.dead_reason,
    rotationsHeld: Number(row.version) - filedAs,
    rotations,
    zoomTakesOurs: takes,
    suspectAfterMs,
    deadAfterMs,
    findings: findings.map(({ rule, detail }) => `${rule}: ${detail}`),
  };
}

/** Whether this fate can be met by a process of its own. */
export const canBeReal = ({ diesAt, also, expected }: Fate): boolean =>
  expected === 'unsaid' ||
  (also !== 'journal' && diesAt !== undefined && (diesAt === 'sent' || crashPoints.includes(diesAt as CrashPoint)));
