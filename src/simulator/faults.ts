import { createHash } from 'node:crypto';

/**
 * What goes wrong. `latency` waits, `hold` waits until released, `blackhole` never answers; `reset` cuts the
 * connection, `truncate` cuts the answer in the middle. `when` says whether Zoom has done it before that.
 */
export type FaultRule = {
  /** an endpoint by name, a group like `oauth.*`, or `*` */
  readonly endpoint: string;
  /** calls it applies to, 1 by default; Infinity is not JSON, so null means all */
  readonly count?: number | null;
  /** calls that pass first */
  readonly skip?: number;
  /** share of the calls it applies to, above 0 up to 1, drawn from the simulator's seed; then `count` is null by default */
  readonly probability?: number;
  /** only calls of this client id */
  readonly clientId?: string;
  readonly kind:
    | 'latency'
    | 'hold'
    | 'blackhole'
    | 'reset'
    | 'truncate'
    | 'server_error'
    | 'too_many_requests'
    | 'error_in_200'
    | 'html'
    | 'redirect'
    | 'answer';
  /** `before`: nothing was done at Zoom; `after`: it was. Default: before, for `truncate` after */
  readonly when?: 'before' | 'after';
  /** for `latency`, milliseconds */
  readonly ms?: number;
  /** for `server_error`, `html` and `answer` */
  readonly status?: number;
  /** for `answer` */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** for `error_in_200`: 200, a refused permission, by default; drawn by probability 500, which is evidence of nothing */
  readonly code?: number;
  /** for `too_many_requests`: daily instead of per second */
  readonly daily?: boolean;
};

export type Fault = FaultRule & {
  readonly id: string;
  /** calls it was applied to */
  applied: number;
  readonly released: Promise<void>;
  release(): void;
};

export type Faults = {
  add(rule: FaultRule): Fault;
  /** The first rule that applies to this call, counted. */
  take(endpoint: string, clientId: string | null): Fault | null;
  release(id: string): void;
  clear(): void;
  list(): readonly Fault[];
};

const matches = (rule: string, endpoint: string): boolean =>
  rule === '*' || rule === endpoint || (rule.endsWith('.*') && endpoint.startsWith(rule.slice(0, -1)));

/** The nth draw of a rule, from 0 to below 1: the same for the same seed. */
const draw = (seed: string, id: string, n: number): number =>
  createHash('sha256').update(`${seed}:${id}:${n}`).digest().readUInt32BE() / 2 ** 32;

/** Rules in order; what is held is released when its rule goes. */
export function createFaults(seed: string): Faults {
  let faults: (Fault & { passed: number; drawn: number })[] = [];
  let made = 0;
  return {
    add(rule) {
      const { probability } = rule;
      if (probability !== undefined && !(probability > 0 && probability <= 1))
        throw new Error(`Expected a probability above 0 and up to 1, got ${probability}`);
      made += 1;
      let release = (): void => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      const fault = { ...rule, id: `fault-${made}`, applied: 0, passed: 0, drawn: 0, released, release };
      faults.push(fault);
      return fault;
    },
    take(endpoint, clientId) {
      for (const fault of faults) {
        if (!matches(fault.endpoint, endpoint)) continue;
        if (fault.clientId !== undefined && fault.clientId !== clientId) continue;
        const { probability, count = probability === undefined ? 1 : null } = fault;
        if (count !== null && fault.applied >= count) continue;
        if (fault.passed < (fault.skip ?? 0)) {
          fault.passed += 1;
          continue;
        }
        if (probability !== undefined) {
          fault.drawn += 1;
          if (draw(seed, fault.id, fault.drawn) >= probability) continue;
        }
        fault.applied += 1;
        return fault;
      }
      return null;
    },
    release(id) {
      const fault = faults.find((one) => one.id === id);
      if (!fault) throw new Error(`Expected the id of a fault (${faults.map((one) => one.id).join(', ')}), got ${id}`);
      fault.release();
    },
    clear() {
      for (const fault of faults) fault.release();
      faults = [];
    },
    list: () => faults,
  };
}
