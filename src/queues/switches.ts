import type { Database } from '../db/database.ts';

export type SwitchName = 'pause_all' | 'pause_writes' | 'pause_zoom' | 'pause_declaring' | 'observe_only';

export type Switches = {
  /** Whether an operator turned it on, as of at most `freshMs` ago. */
  isOn(name: SwitchName): Promise<boolean>;
};

/** Operator switches, read from the database at most once in `freshMs`; five seconds are promised to operators. */
export function createSwitches({ db, freshMs = 2_000 }: { db: Database; freshMs?: number }): Switches {
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<ReadonlySet<string>> = Promise.resolve(new Set());
  return {
    async isOn(name) {
      if (performance.now() - readAt > freshMs) {
        readAt = performance.now();
        reading = db
          .selectFrom('steward.switches')
          .select('name')
          .execute()
          .then((rows) => new Set(rows.map((row) => row.name)));
        reading.catch(() => {
          readAt = Number.NEGATIVE_INFINITY;
        });
      }
      return (await reading).has(name);
    },
  };
}
