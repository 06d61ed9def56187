import type { BenchResult } from './measure.ts';

/** A row of the table of what must be reached. */
export type Target = {
  readonly work: string;
  readonly title: string;
  readonly against: string;
  readonly atLeast: string;
  /** members, or event types, at which it is judged */
  readonly size: number;
  readonly queues: readonly ('postgres' | 'redis')[];
  figure(result: BenchResult): string;
  met(result: BenchResult): boolean;
};

const both = ['postgres', 'redis'] as const;
const million = 1_000_000;
const ratio = (result: BenchResult): string => `${result.ratioToLimit} ×`;
const within =
  (most: number) =>
  (result: BenchResult): boolean =>
    (result.ratioToLimit ?? Number.POSITIVE_INFINITY) <= most;
const faster =
  (least: number) =>
  (result: BenchResult): boolean =>
    (result.timesFaster ?? 0) >= least;

/** MB more at the larger size, from the sentence that the work prints. */
const moreMb = ({ notes }: BenchResult): number => Number(/: (-?\d+) MB more/.exec(notes)?.[1] ?? Number.NaN);

/** The table, in its order. Rows that Zoom's own limits decide are measured elsewhere. */
export const targets: readonly Target[] = [
  {
    work: 'fanout',
    title: 'fan-out, 10 % personal',
    against: 'one bare `insert … select` writing the same rows',
    atLeast: 'within 1.5 × its time',
    size: million,
    queues: both,
    figure: ratio,
    met: within(1.5),
  },
  {
    work: 'fanout',
    title: 'the same',
    against: 'one BullMQ job a member',
    atLeast: '40 × faster',
    size: million,
    queues: both,
    figure: ({ timesFaster }) => `${timesFaster} × faster`,
    met: faster(40),
  },
  {
    work: 'cascade',
    title: 'cascade over 100,000 event types, 30 % with Zoom',
    against: 'one awaited UPDATE an event type',
    atLeast: '30 × faster',
    size: 100_000,
    queues: both,
    figure: ({ timesFaster }) => `${timesFaster} × faster`,
    met: faster(30),
  },
  {
    work: 'plan',
    title: 'plan without drift',
    against: 'one scan of the same tables',
    atLeast: 'within 2 ×',
    size: million,
    queues: ['postgres'],
    figure: ratio,
    met: within(2),
  },
  {
    work: 'announced',
    title: 'plan after 1,000 announced changes',
    against: 'the full plan',
    atLeast: 'cost follows change',
    size: million,
    queues: ['postgres'],
    figure: ({ ours, limit }) => `${ours.s} s, the full plan ${limit?.s} s`,
    met: within(0.1),
  },
  {
    work: 'resolve',
    title: '`resolve` one member',
    against: 'a primary-key lookup',
    atLeast: 'p99 under 2 ms',
    size: million,
    queues: ['postgres'],
    figure: ({ p50Ms, p99Ms }) => `p50 ${p50Ms} ms, p99 ${p99Ms} ms`,
    met: ({ p99Ms }) => (p99Ms ?? Number.POSITIVE_INFINITY) < 2,
  },
  {
    work: 'latency',
    title: 'changed → stored row follows, idle',
    against: 'BullMQ no-op on the same backend',
    atLeast: 'p50 < 20 ms, p99 < 50 ms',
    size: 10_000,
    queues: both,
    figure: ({ p50Ms, p99Ms }) => `p50 ${p50Ms} ms, p99 ${p99Ms} ms`,
    met: ({ p50Ms, p99Ms }) => (p50Ms ?? 99) < 20 && (p99Ms ?? 99) < 50,
  },
  {
    work: 'poll',
    title: 'the same with LISTEN cut',
    against: 'the poll interval (1 s)',
    atLeast: '+ 50 ms',
    size: 10_000,
    queues: both,
    figure: ({ ours }) => `at most ${Math.round(ours.s * 1000)} ms`,
    met: within(1),
  },
  {
    work: 'fairness',
    title: '20-member fan-out beside one of 1,000,000',
    against: 'the same when idle',
    atLeast: 'p95 within 3 ×',
    size: million,
    queues: both,
    figure: ({ ours, limit, ratioToLimit }) =>
      `${ratioToLimit} × (p95 ${Math.round(ours.s * 1000)} ms, idle ${Math.round((limit?.s ?? 0) * 1000)} ms)`,
    met: within(3),
  },
  {
    work: 'memory',
    title: 'memory of the worker process alone',
    against: '10,000 members',
    atLeast: '+ 50 MB',
    size: million,
    queues: both,
    figure: (result) => `${moreMb(result) < 0 ? '' : '+ '}${moreMb(result)} MB (${result.peakRssMb} MB)`,
    met: (result) => moreMb(result) <= 50,
  },
];
