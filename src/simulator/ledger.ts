/** A rule of good behaviour that a single request broke, seen at the door. */
export type Offence =
  | 'token_in_url'
  | 'secret_in_url'
  | 'unknown_parameter'
  | 'repeated_parameter'
  | 'missing_parameter'
  | 'not_a_form'
  | 'not_json'
  | 'percent_encoded_basic'
  | 'no_basic'
  | 'no_bearer'
  | 'wrong_kind_of_token'
  | 'code_sent_again'
  | 'unknown_path'
  | 'wrong_host'
  | 'followed_redirect'
  | 'reused_connection'
  | 'page_too_large';

/** One call, without a token in it. Times ending in `At` are milliseconds of the simulator's process, for intervals. */
export type LedgerEntry = {
  readonly n: number;
  /** which connection it came on, counted from 1 */
  readonly connection: number;
  readonly method: string;
  /** a name, e.g. `oauth.refresh`, `users.list` */
  readonly endpoint: string;
  /** without the values of its query */
  readonly path: string;
  clientId: string | null;
  /** client id/account/user */
  grant: string | null;
  /** the consent it came from */
  family: string | null;
  token: {
    readonly kind: 'access' | 'refresh' | 'code';
    readonly fingerprint: string;
    readonly trouble: string | null;
  } | null;
  /** by the simulated clock, milliseconds since the epoch */
  readonly clockMs: number;
  readonly arrivedAt: number;
  /** when Zoom did it, if it did */
  actedAt: number | null;
  endedAt: number | null;
  /** `answered`: the whole answer was written; `client_gone`: the caller hung up first */
  outcome: 'open' | 'answered' | 'reset' | 'truncated' | 'client_gone' | 'stopped';
  status: number | null;
  /** Zoom's number or word in a refusal */
  code: string | null;
  /** what Zoom did, e.g. `rotated`, `family_ended`, `meeting_created` */
  readonly did: string[];
  readonly offences: Offence[];
  /** kind of the fault that was injected */
  fault: string | null;
};

export type Ledger = {
  open(entry: Pick<LedgerEntry, 'connection' | 'method' | 'endpoint' | 'path' | 'clockMs'>): LedgerEntry;
  close(entry: LedgerEntry, outcome: Exclude<LedgerEntry['outcome'], 'open'>): void;
  /** a copy, in order of arrival */
  entries(): LedgerEntry[];
  /** Resolves when so many calls of an endpoint have arrived. */
  arrived(endpoint: string, count: number, signal?: AbortSignal): Promise<void>;
  clear(): void;
};

/** Every call, kept until `clear`. */
export function createLedger(): Ledger {
  let entries: LedgerEntry[] = [];
  let made = 0;
  const waiting = new Set<() => void>();
  const now = (): number => performance.timeOrigin + performance.now();
  return {
    open(facts) {
      made += 1;
      const entry: LedgerEntry = {
        n: made,
        ...facts,
        clientId: null,
        grant: null,
        family: null,
        token: null,
        arrivedAt: now(),
        actedAt: null,
        endedAt: null,
        outcome: 'open',
        status: null,
        code: null,
        did: [],
        offences: [],
        fault: null,
      };
      entries.push(entry);
      for (const look of waiting) look();
      return entry;
    },
    close(entry, outcome) {
      if (entry.outcome !== 'open') return;
      entry.outcome = outcome;
      entry.endedAt = now();
    },
    entries: () => entries.map((entry) => ({ ...entry, did: [...entry.did], offences: [...entry.offences] })),
    arrived(endpoint, count, signal) {
      return new Promise((resolve, reject) => {
        const stop = (): void => {
          waiting.delete(look);
          signal?.removeEventListener('abort', onAbort);
        };
        const onAbort = (): void => {
          stop();
          reject(
            new Error(
              `Expected ${count} calls of ${endpoint}, got ${entries.filter((e) => e.endpoint === endpoint).length}`,
            ),
          );
        };
        const look = (): void => {
          if (entries.filter((entry) => entry.endpoint === endpoint).length < count) return;
          stop();
          resolve();
        };
        waiting.add(look);
        signal?.addEventListener('abort', onAbort);
        if (signal?.aborted) onAbort();
        else look();
      });
    },
    clear() {
      entries = [];
    },
  };
}

/** When Zoom did what the call asked for: marks it in the entry. */
export function markActed(entry: LedgerEntry, ...did: string[]): void {
  entry.did.push(...did);
  entry.actedAt ??= performance.timeOrigin + performance.now();
}
