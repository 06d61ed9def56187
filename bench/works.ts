import type { BenchInput, BenchResult } from './measure.ts';
import { cascade } from './works/cascade.ts';
import { fairness } from './works/fairness.ts';
import { fanout } from './works/fanout.ts';
import { latency, poll } from './works/latency.ts';
import { memory } from './works/memory.ts';
import { announced, plan } from './works/plan.ts';
import { resolve } from './works/resolve.ts';

/** Every benchmark by its name. */
export const works: Readonly<Record<string, (input: BenchInput) => Promise<BenchResult>>> = {
  fanout,
  cascade,
  plan,
  announced,
  resolve,
  latency,
  poll,
  fairness,
  memory,
};
