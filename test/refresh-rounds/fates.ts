import type { CrashPoint } from '../../src/grants/crash-points.ts';
import type { FaultRule } from '../../src/simulator/faults.ts';

/**
 * What lifecycle §3 says of a round. survives: the grant lives on. impossible: Zoom rotated and its answer exists nowhere,
 * one of the two moments that nobody can prevent. reuse: our own recovery met an answer that came too late; what Zoom
 * makes of that is a toggle. revoked, doubted: the customer ended the grant, and we know that, or died knowing it.
 * unsaid: it depends on when the process died, which the ledger tells.
 */
type Expected = 'survives' | 'impossible' | 'reuse' | 'revoked' | 'doubted' | 'unsaid';

/** What happens to the one who refreshes. */
export type Fate = {
  readonly name: string;
  readonly expected: Expected;
  /** how often it is drawn, against the others */
  readonly weight: number;
  /** at the token endpoint, once */
  readonly fault?: Omit<FaultRule, 'endpoint'>;
  /** where it dies; `sent`: when the request has arrived at Zoom */
  readonly diesAt?: CrashPoint | 'sent';
  /** gives up before Zoom, instead of dying */
  readonly impatient?: true;
  /** where it stands still until its lease and the margin are over, and others have looked */
  readonly pausesAt?: CrashPoint;
  /** what else is done, see `mortal.ts` and `play-round.ts` */
  readonly also?: 'nobody_listens' | 'database_away' | 'journal' | 'late_act' | 'customer_revokes';
};

const fault = (kind: FaultRule['kind'], when?: 'before' | 'after', more: Partial<FaultRule> = {}) => ({
  fault: { kind, ...(when && { when }), ...more },
});

/** Every moment of a refresh, and every way in which an answer goes wrong. */
export const fates: readonly Fate[] = [
  { name: 'undisturbed', expected: 'survives', weight: 1 },
  { name: 'killed: acquired', expected: 'survives', weight: 3, diesAt: 'acquired' },
  { name: 'killed: before_send', expected: 'survives', weight: 3, diesAt: 'before_send' },
  {
    name: 'killed: sent, Zoom has not acted',
    expected: 'survives',
    weight: 3,
    diesAt: 'sent',
    ...fault('blackhole', 'before'),
  },
  {
    name: 'killed: sent, Zoom has acted',
    expected: 'impossible',
    weight: 4,
    diesAt: 'sent',
    ...fault('blackhole', 'after'),
  },
  { name: 'killed: answered', expected: 'impossible', weight: 4, diesAt: 'answered' },
  { name: 'killed: answered, the pair in the journal', expected: 'survives', weight: 2, also: 'journal' },
  { name: 'killed: committed', expected: 'survives', weight: 3, diesAt: 'committed' },
  {
    name: 'killed: recorded, after a 5xx',
    expected: 'survives',
    weight: 2,
    diesAt: 'recorded',
    ...fault('server_error'),
  },
  {
    name: 'killed: recorded, after a 429',
    expected: 'survives',
    weight: 1,
    diesAt: 'recorded',
    ...fault('too_many_requests'),
  },
  { name: 'reset before Zoom acts', expected: 'survives', weight: 2, ...fault('reset', 'before') },
  {
    name: 'no answer, Zoom has not acted',
    expected: 'survives',
    weight: 1,
    impatient: true,
    ...fault('blackhole', 'before'),
  },
  { name: '5xx', expected: 'survives', weight: 2, ...fault('server_error') },
  { name: '429', expected: 'survives', weight: 2, ...fault('too_many_requests') },
  { name: 'a page in place of JSON', expected: 'survives', weight: 1, ...fault('html') },
  { name: 'redirect', expected: 'survives', weight: 1, ...fault('redirect') },
  {
    name: 'an answer about our application',
    expected: 'survives',
    weight: 1,
    ...fault('answer', 'before', { status: 400, body: '{"error":"invalid_client"}' }),
  },
  { name: 'nobody listens', expected: 'survives', weight: 1, also: 'nobody_listens' },
  { name: 'paused over its lease', expected: 'survives', weight: 2, pausesAt: 'acquired' },
  { name: 'the database is away at the commit', expected: 'survives', weight: 2, also: 'database_away' },
  { name: 'paused with the answer over its lease', expected: 'reuse', weight: 2, pausesAt: 'answered' },
  { name: 'reset after Zoom acted', expected: 'impossible', weight: 3, ...fault('reset', 'after') },
  { name: 'answer cut off', expected: 'impossible', weight: 3, ...fault('truncate') },
  {
    name: 'no answer, Zoom has acted',
    expected: 'impossible',
    weight: 1,
    impatient: true,
    ...fault('blackhole', 'after'),
  },
  {
    name: 'Zoom acts when nobody waits',
    expected: 'impossible',
    weight: 1,
    impatient: true,
    also: 'late_act',
    ...fault('hold'),
  },
  { name: '200 without a pair', expected: 'impossible', weight: 2, ...fault('html', 'after', { status: 200 }) },
  { name: 'the customer revokes', expected: 'revoked', weight: 2, also: 'customer_revokes' },
  {
    name: 'killed: recorded, the customer revoked',
    expected: 'revoked',
    weight: 1,
    also: 'customer_revokes',
    diesAt: 'recorded',
  },
  {
    name: 'killed: answered, the customer revoked',
    expected: 'doubted',
    weight: 1,
    also: 'customer_revokes',
    diesAt: 'answered',
  },
];

/** A process that is killed at any time, milliseconds after it began: only the ledger knows what it met. */
export const killedAnyTime: Fate = { name: 'killed: at any time', expected: 'unsaid', weight: 0 };
