import { expect, test } from 'vitest';
import {
  dailyCallsOf,
  type LimitFacts,
  limitsOf,
  mayBegin,
  paceMsOf,
  plans,
} from '../../src/connections/account-limits.ts';
import { learnFrom, type Said } from '../../src/connections/learn-limits.ts';
import { type RateLimitSaid, readRateLimit } from '../../src/zoom/rate-limits.ts';
import { failure } from './scripted-zoom.ts';

const nothing: LimitFacts = {
  mediumPerSecond: null,
  mediumPerDay: null,
  lightPerSecond: null,
  lightPerDay: null,
  learnedFrom: null,
  stated: null,
};
const told = (limit: Partial<RateLimitSaid>): Said => ({
  ok: true,
  limit: { label: 'medium', per: 'second', limit: 60, remaining: 3, ...limit },
});
const refused = (per: 'second' | 'day' | null): Said => failure('rate_limited', { status: 429, per });
function after(facts: LimitFacts, ...answers: Said[]): LimitFacts {
  let known = facts;
  for (const answer of answers) known = { ...known, ...learnFrom(known, answer, 'medium') };
  return known;
}

test('an account begins as on Pro, and what was stated goes before what was learned', () => {
  expect(limitsOf(nothing)).toEqual({ perSecond: 20, perDay: null, from: 'assumed' });
  const stated = { perSecond: 300, perDay: 9_000 };
  expect(limitsOf({ ...after(nothing, told({ limit: 2 })), stated })).toEqual({ ...stated, from: 'stated' });
  expect(paceMsOf(plans.business, 0.25)).toBe(67);
  expect(paceMsOf(plans.pro, 0.25)).toBe(200);
});

test('headers are believed up to Business; beyond it a contract is to be stated', () => {
  expect(limitsOf(after(nothing, told({})))).toEqual({ perSecond: 60, perDay: null, from: 'headers' });
  expect(limitsOf(after(nothing, told({ limit: 900 })))).toMatchObject({ perSecond: 60 });
  expect(limitsOf(after(nothing, told({ limit: 2 })))).toMatchObject({ perSecond: 2, perDay: 2_000 });
  expect(limitsOf(after(nothing, told({ per: 'day', limit: 2_000 })))).toMatchObject({ perSecond: 2, perDay: 2_000 });
  expect(limitsOf(after(nothing, told({ label: 'light', limit: 80 })))).toMatchObject({ perSecond: 60 });
  expect(limitsOf(after(nothing, told({ label: 'light', limit: 4 })))).toMatchObject({ perSecond: 2, perDay: 2_000 });
  expect(learnFrom(nothing, told({ label: 'heavy', limit: 1 }), 'medium')).toBeNull();
  const known = after(nothing, told({}));
  expect(learnFrom(known, told({}), 'medium')).toBeNull();
});

test('a 429 that names no limit halves the pace down to Free; one of a day is Free; headers are not doubted', () => {
  expect(limitsOf(after(nothing, refused('second')))).toMatchObject({ perSecond: 10, perDay: null, from: 'refusal' });
  const free = after(nothing, refused('second'), refused('second'), refused('second'), refused('second'));
  expect(limitsOf(free)).toMatchObject({ perSecond: 2, perDay: 2_000 });
  expect(learnFrom(free, refused('second'), 'medium')).toBeNull();
  expect(limitsOf(after(nothing, refused('day')))).toMatchObject({ perSecond: 2, perDay: 2_000, from: 'refusal' });
  expect(learnFrom(nothing, refused(null), 'medium')).toBeNull();
  expect(learnFrom(nothing, refused('second'), 'light')).toBeNull();
  expect(learnFrom(after(nothing, told({})), refused('second'), 'medium')).toBeNull();
  expect(limitsOf(after(free, told({})))).toMatchObject({ perSecond: 60, perDay: null, from: 'headers' });
});

test('a walk takes its share of a day, and does not begin what it could not end', () => {
  expect(dailyCallsOf(plans.free, 0.25)).toBe(500);
  expect(dailyCallsOf(plans.business, 0.25)).toBeNull();
  const begins = (callsToday: number, users: number): boolean => mayBegin(500, { callsToday, users, pageSize: 300 });
  expect([begins(0, 30_000), begins(397, 30_000), begins(398, 30_000)]).toEqual([true, true, false]);
  // More than a whole day allows begins all the same: nobody can say it would fit tomorrow.
  expect([begins(0, 900_000), begins(499, 900_000), begins(500, 0)]).toEqual([true, true, false]);
  expect(mayBegin(null, { callsToday: 1e9, users: 1e9, pageSize: 300 })).toBe(true);
});

test.each([
  [
    { category: 'Medium', type: 'QPS', limit: '60', remaining: '59' },
    { label: 'medium', per: 'second', limit: 60, remaining: 59 },
  ],
  [
    { category: 'LIGHT', type: 'Daily-limit', limit: '6000', remaining: '0' },
    { label: 'light', per: 'day', limit: 6_000, remaining: 0 },
  ],
  [
    { limit: '20', remaining: '1' },
    { label: 'medium', per: 'second', limit: 20, remaining: 1 },
  ],
  [
    { limit: '2000', remaining: '1' },
    { label: 'medium', per: 'day', limit: 2_000, remaining: 1 },
  ],
  [{ limit: '500' }, null],
  [{ category: 'Medium', type: 'QPS' }, null],
  [{ category: 'Medium', type: 'Per-minute', limit: '10' }, null],
  [{ category: 'Resource-intensive', type: 'QPS', limit: '10' }, null],
  [{ type: 'QPS', limit: '0' }, null],
  [{ type: 'QPS', limit: '99999' }, null],
  [{ type: 'QPS', limit: '-60' }, null],
  [{ type: 'QPS', limit: '6e1' }, null],
  [{ type: 'QPS', limit: '60', remaining: '61' }, null],
  [{ type: 'Daily-limit', limit: '3' }, null],
  // What one host may create a day is no limit of the account.
  [{ type: 'Daily-limit', limit: '100' }, null],
  [{}, null],
])('headers %j say %j', (headers, said) => {
  const named = Object.fromEntries(Object.entries(headers).map(([name, text]) => [`x-ratelimit-${name}`, text]));
  expect(readRateLimit(named, 'medium')).toEqual(said);
});
