import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { applyTransition } from '../../src/connections/apply-transition.ts';
import {
  type ConnectionEvent,
  type ConnectionState,
  type Outcome,
  transitions,
} from '../../src/connections/transitions.ts';
import { useDatabase } from '../support/database.ts';
import { connectionRow, insertConnection, insertOrganization, toldTypes } from './organization.ts';

const letters = { N: 'none', P: 'pending', A: 'active', I: 'interrupted', G: 'disconnecting' } as const;
type Letter = keyof typeof letters;
const states = Object.values(letters);

type Row = {
  readonly event: ConnectionEvent;
  readonly from: Record<ConnectionState, Outcome>;
  readonly run: ConnectionState[];
  readonly told: string | null;
  readonly toldIn: ConnectionState[];
  readonly cancels: boolean;
};

function outcomeOf(cell: string): Outcome {
  if (cell in letters) return letters[cell as Letter];
  if (cell === '–') return 'never';
  if (cell === '=' || cell === 'back' || cell === 'refused') return cell;
  throw new Error(`docs/connecting.md: unknown cell "${cell}"`);
}

const statesOf = (cell: string): ConnectionState[] =>
  cell === '' ? [] : cell.split(' ').map((letter) => letters[letter as Letter]);

/** The table of docs/connecting.md, written by hand: independent of transitions.ts. */
function readTable(): Row[] {
  const text = readFileSync(join(import.meta.dirname, '../../docs/connecting.md'), 'utf8');
  const lines = text.slice(text.indexOf('| event | N |')).split('\n');
  const end = lines.findIndex((line) => !line.startsWith('|'));
  return lines.slice(2, end === -1 ? undefined : end).map((line) => {
    const [event, n, p, a, i, g, run, told, toldIn, cancels] = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()) as string[];
    const cells = [n, p, a, i, g].map((cell) => outcomeOf(cell as string));
    return {
      event: event as ConnectionEvent,
      from: Object.fromEntries(states.map((state, at) => [state, cells[at]])) as Record<ConnectionState, Outcome>,
      run: statesOf(run as string),
      told: told === '' ? null : (told as string),
      toldIn: statesOf(toldIn as string),
      cancels: cancels === 'yes',
    };
  });
}

const table = readTable();

describe('the transition table', () => {
  const database = useDatabase();

  it('names the same events in the document and in the code', () => {
    expect(table.map((row) => row.event).sort()).toEqual(Object.keys(transitions).sort());
    expect(table.length).toBe(31);
  });

  it.each(table)('$event is the same in the document and in the code, in every cell', (row) => {
    const coded = transitions[row.event];
    expect(coded.from).toEqual(row.from);
    expect([...coded.run].sort()).toEqual([...row.run].sort());
    expect(coded.tells?.type ?? null).toBe(row.told);
    expect([...(coded.tells?.from ?? [])].sort()).toEqual([...row.toldIn].sort());
    expect(coded.cancels).toBe(row.cancels);
  });

  it('does in the database what every cell of the document says: 155 of them', async () => {
    let played = 0;
    for (const row of table) {
      for (const from of states) {
        const { db } = database;
        const organization = await insertOrganization(db, { users: 0 });
        const id = await insertConnection(db, organization.id, { state: from, generation: 7 });
        const result = await db
          .transaction()
          .execute((trx) => applyTransition(trx, { connectionId: id, event: row.event, actor: 'schedule' }));
        const after = await connectionRow(db, id);
        const outcome = row.from[from];
        const told = await toldTypes(db, organization.id);
        const runs = await db.selectFrom('steward.runs').selectAll().where('connection_id', '=', id).execute();
        const audit = await db.selectFrom('steward.audit_log').selectAll().where('subject_id', '=', id).execute();
        const what = `${row.event} in ${from}`;
        if (outcome === 'never' || outcome === 'refused') {
          expect(result.outcome, what).toBe('refused');
          expect([after.state, after.generation, told, runs.length], what).toEqual([from, 7, [], 0]);
        } else {
          // Nothing is open in this database, so "back" is all the way back.
          const to = outcome === '=' ? from : outcome === 'back' ? 'none' : outcome;
          const affects = row.run.includes(from);
          expect([after.state, after.generation], what).toEqual([to, affects ? 8 : 7]);
          expect(told, what).toEqual(row.toldIn.includes(from) ? [row.told] : []);
          expect(
            runs.map((run) => [run.generation, run.cascade, run.state]),
            what,
          ).toEqual(affects ? [[8, to === 'disconnecting', 'queued']] : []);
          if (to !== from || affects) expect(audit.length, what).toBe(1);
        }
        played += 1;
      }
    }
    expect(played).toBe(155);
  });
});

describe('applyTransition', () => {
  const database = useDatabase();

  it('refuses a decision about an older generation, and another grant, and changes nothing', async () => {
    const { db } = database;
    const organization = await insertOrganization(db, { users: 0 });
    const id = await insertConnection(db, organization.id, { state: 'active', generation: 4 });
    for (const seen of [{ generation: 3 }, { generation: 4, grantId: '00000000-0000-4000-8000-000000000001' }]) {
      const result = await db
        .transaction()
        .execute((trx) =>
          applyTransition(trx, { connectionId: id, event: 'failed_second_look', actor: 'schedule', seen }),
        );
      expect(result).toEqual({ outcome: 'refused', from: 'active', why: 'stale' });
    }
    expect(await connectionRow(db, id)).toMatchObject({ state: 'active', generation: 4 });
    expect(await toldTypes(db, organization.id)).toEqual([]);
  });

  it('lets one of two simultaneous transitions of the same generation through', async () => {
    const { db } = database;
    const organization = await insertOrganization(db, { users: 0 });
    const id = await insertConnection(db, organization.id, { state: 'active', generation: 4 });
    const once = () =>
      db
        .transaction()
        .execute((trx) =>
          applyTransition(trx, { connectionId: id, event: 'disconnect', actor: 'schedule', seen: { generation: 4 } }),
        );
    const results = await Promise.all([once(), once(), once()]);
    expect(results.map((result) => result.outcome).sort()).toEqual(['changed', 'refused', 'refused']);
    expect(await connectionRow(db, id)).toMatchObject({ state: 'disconnecting', generation: 5 });
    expect(await toldTypes(db, organization.id)).toEqual(['connection.disconnecting']);
  });

  it('says which connection is missing', async () => {
    const id = '00000000-0000-4000-8000-000000000002';
    await expect(
      database.db
        .transaction()
        .execute((trx) => applyTransition(trx, { connectionId: id, event: 'link_made', actor: 'app' })),
    ).rejects.toMatchObject({ code: 'connection_not_found' });
  });
});
