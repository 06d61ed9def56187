import { expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';
import type { fates } from './fates.ts';
import { judgeRound, type Played } from './referee.ts';
import { runRounds } from './run-rounds.ts';

// The short form of `npm run refresh-rounds`: another seed each time it runs would say more, and could not be told again.
const database = useDatabase();

test.for([
  { profile: 'kind', seed: 1, rounds: 9 },
  { profile: 'cruel', seed: 2, rounds: 9 },
])(
  '$profile, seed $seed: no round of $rounds ends other than lifecycle §3 says',
  { timeout: 120_000 },
  async (short) => {
    const { db, url } = database;
    const report = await runRounds({ db, databaseUrl: url, realEvery: 9, ...short });
    expect(report.wrong).toEqual([]);
    expect(report).toMatchObject({ ok: true, rounds: short.rounds, realKills: 1 });
    // Rounds that never lose, or never survive, would say nothing.
    expect(report.lost).toBeGreaterThan(0);
    expect(report.ends['living']).toBeGreaterThan(2);
  },
);

const survived: Played = {
  ended: true,
  state: 'living',
  deadReason: null,
  rotations: 1,
  rotationsHeld: 1,
  zoomTakesOurs: true,
  suspectAfterMs: null,
  deadAfterMs: null,
  findings: [],
};
const lost: Played = {
  ...{ ...survived, state: 'dead', deadReason: 'refresh_lost', rotationsHeld: 0, zoomTakesOurs: false },
  ...{ suspectAfterMs: 75_000, deadAfterMs: 675_000 },
};

test.for<[string, (typeof fates)[number]['expected'], Played, RegExp | null]>([
  ['a grant that lives', 'survives', survived, null],
  ['a loss that is named in time', 'impossible', lost, null],
  ['a death although Zoom takes our token', 'impossible', { ...lost, zoomTakesOurs: true }, /Zoom takes/],
  ['a death where the round survives', 'survives', lost, /expected that the grant lives/],
  ['a loss that is named revoked', 'impossible', { ...lost, deadReason: 'revoked' }, /named revoked/],
  ['a loss that nobody notices', 'impossible', { ...survived, rotations: 2 }, /expected dead/],
  ['a loss that is noticed late', 'impossible', { ...lost, suspectAfterMs: 130_000 }, /noticed after/],
  ['a second look that comes late', 'impossible', { ...lost, deadAfterMs: 900_000 }, /declared/],
  ['an impossible moment that lost nothing', 'impossible', survived, /nothing was lost/],
  ['a refresh token that is sent again too early', 'survives', { ...survived, findings: ['x'] }, /x/],
  ['a revocation that is named otherwise', 'revoked', lost, /expected dead \(revoked\)/],
  ['no end', 'survives', { ...survived, ended: false }, /no end/],
])('the referee on %s', ([, expected, played, complaint]) => {
  const wrong = judgeRound({ expected }, played);
  if (complaint === null) expect(wrong).toEqual([]);
  else expect(wrong.join()).toMatch(complaint);
});
