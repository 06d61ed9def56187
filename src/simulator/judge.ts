import type { LedgerEntry } from './ledger.ts';

/** A rule that a run of calls broke, with the calls that show it. */
export type Finding = { readonly rule: string; readonly calls: readonly number[]; readonly detail: string };

export type Judgement = { readonly ok: boolean; readonly calls: number; readonly findings: readonly Finding[] };

export type JudgeLimits = {
  /** how long after a refresh without a whole answer the same token may be sent again, milliseconds */
  readonly quietMs?: number;
  /** refreshes whose whole answer may have been lost by a caller that died, so that the same token may come again */
  readonly lostAnswers?: number;
  /** calls with an access token after the caller was told that it is dead */
  readonly deadAccessCalls?: number;
  /** refreshes with a refresh token after the caller was told that it is dead */
  readonly deadRefreshCalls?: number;
};

const defaults: Required<JudgeLimits> = { quietMs: 30_000, lostAnswers: 0, deadAccessCalls: 3, deadRefreshCalls: 2 };

const groupBy = <T>(items: readonly T[], key: (item: T) => string | null | undefined): Map<string, T[]> => {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = key(item);
    if (name == null) continue;
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
};

/** On its way until the answer was written and, if Zoom acted later than the caller waited, until then. */
const endOf = (entry: LedgerEntry): number =>
  entry.endedAt === null ? Number.POSITIVE_INFINITY : Math.max(entry.endedAt, entry.actedAt ?? 0);

function overlaps(refreshes: readonly LedgerEntry[], quietMs: number): Finding[] {
  const findings: Finding[] = [];
  for (const [grant, calls] of groupBy(refreshes, (entry) => entry.grant)) {
    let last: LedgerEntry | undefined;
    for (const call of calls) {
      // After the quiet time nobody can be expected to wait for a Zoom that acts so late.
      if (last && call.arrivedAt < endOf(last) && call.clockMs - last.clockMs < quietMs) {
        findings.push({
          rule: 'overlapping_refreshes',
          calls: [last.n, call.n],
          detail: `two refreshes of ${grant} at a time`,
        });
      }
      if (!last || endOf(call) > endOf(last)) last = call;
    }
  }
  return findings;
}

/** The same refresh token again before the outcome was known, or after a whole success had replaced it. */
function resentTokens(refreshes: readonly LedgerEntry[], { quietMs, lostAnswers }: Required<JudgeLimits>): Finding[] {
  const early: Finding[] = [];
  /** by the call that succeeded: however often its token comes again, one answer was lost */
  const replaced = new Map<number, Finding>();
  for (const calls of groupBy(refreshes, (entry) => entry.token?.fingerprint).values()) {
    calls.forEach((call, at) => {
      for (const earlier of calls.slice(0, at)) {
        const pair = [earlier.n, call.n];
        const told = earlier.outcome === 'answered' && endOf(earlier) <= call.arrivedAt;
        if (told && earlier.did.includes('rotated') && earlier.status === 200) {
          const detail = 'Zoom had answered with its successor';
          if (!replaced.has(earlier.n))
            replaced.set(earlier.n, { rule: 'rotated_token_sent_again', calls: pair, detail });
        } else if (!told && call.clockMs - earlier.clockMs < quietMs) {
          const detail = `sent again after ${call.clockMs - earlier.clockMs} ms, outcome unknown (${earlier.outcome}), expected ${quietMs} ms`;
          early.push({ rule: 'token_sent_before_outcome', calls: pair, detail });
        }
      }
    });
  }
  return [...early, ...[...replaced.values()].slice(lostAnswers)];
}

function deadCalls(entries: readonly LedgerEntry[], limits: Required<JudgeLimits>): Finding[] {
  const findings: Finding[] = [];
  for (const calls of groupBy(entries, (entry) => entry.token?.fingerprint).values()) {
    const kind = calls[0]?.token?.kind;
    if (kind !== 'access' && kind !== 'refresh') continue;
    const allowed = kind === 'access' ? limits.deadAccessCalls : limits.deadRefreshCalls;
    const told = calls.find(
      (entry) =>
        entry.outcome === 'answered' && entry.token?.trouble && entry.fault === null && (entry.status ?? 0) >= 400,
    );
    if (!told) continue;
    // Calls that were on their way when the first refusal was written could not know.
    const after = calls.filter((entry) => entry.arrivedAt > endOf(told) && entry.token?.trouble);
    if (after.length <= allowed) continue;
    const detail = `${after.length} calls with a dead ${kind} token after the first refusal, expected at most ${allowed}`;
    findings.push({ rule: 'dead_token_calls', calls: [told.n, ...after.map((entry) => entry.n)], detail });
  }
  return findings;
}

/** Judges every call of a ledger, singly and together. */
export function judgeLedger(entries: readonly LedgerEntry[], limits: JudgeLimits = {}): Judgement {
  const all = { ...defaults, ...limits };
  const refreshes = entries.filter((entry) => entry.endpoint === 'oauth.refresh');
  const findings = [
    ...entries.flatMap((entry) =>
      [...new Set(entry.offences)].map((offence) => ({
        rule: offence,
        calls: [entry.n],
        detail: `${entry.method} ${entry.path}`,
      })),
    ),
    ...overlaps(refreshes, all.quietMs),
    ...resentTokens(refreshes, all),
    ...deadCalls(entries, all),
  ];
  return { ok: findings.length === 0, calls: entries.length, findings };
}
