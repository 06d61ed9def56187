import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { createTakeSlot } from '../../src/grants/client-state-repository.ts';
import { createPacer, type Pacer } from '../../src/grants/pacer.ts';
import { useDatabase } from '../support/database.ts';
import { createGate } from './scripted-zoom.ts';
import { fileOne, playGrants } from './setting.ts';

const database = useDatabase();
let made = 0;
const newClient = (): string => {
  made += 1;
  return `client-${made}`;
};

/** The pacer of a process of its own. */
const playProcess = (everyMs: number): Pacer => createPacer({ takeSlot: createTakeSlot(database.another(1), everyMs) });

/** Each turn's moment, in milliseconds since the first. */
async function turns(takes: readonly Promise<void>[]): Promise<number[]> {
  const at: number[] = [];
  await Promise.all(takes.map((taken) => taken.then(() => at.push(performance.now()))));
  return at.map((ms) => ms - (at[0] ?? 0));
}

test('processes take their turns one after another, each client id for itself', async () => {
  const everyMs = 40;
  const [client, other] = [newClient(), newClient()];
  const [one, two] = [playProcess(everyMs), playProcess(everyMs)];
  const paced = turns([one, two, one, two, one, two].map((process) => process.take(client, 'caller')));
  const apart = turns([one.take(other, 'caller')]);
  expect((await apart).length).toBe(1);
  const at = await paced;
  // The database says when; a timer may fire a little early, and late on a busy machine.
  at.forEach((ms, turn) => {
    expect(ms).toBeGreaterThan(turn * everyMs - 15);
  });
});

test('in a process callers go first; among processes background work leaves the turns to them', async () => {
  const client = newClient();
  const [asking, looking] = [playProcess(20), playProcess(20)];
  const order: string[] = [];
  const take = (process: Pacer, name: string, priority: 'caller' | 'background') =>
    process.take(client, priority).then(() => order.push(name));
  await asking.take(client, 'caller');
  await Promise.all([
    take(asking, 'background', 'background'),
    take(asking, 'caller-1', 'caller'),
    take(asking, 'caller-2', 'caller'),
  ]);
  expect(order).toEqual(['caller-1', 'caller-2', 'background']);
  // A turn is reserved far ahead: whoever reserves waits for it, background work is not taken.
  await sql`update steward.client_states set next_slot_at = clock_timestamp() + interval '30 seconds' where client_id = ${client}`.execute(
    database.db,
  );
  const takeSlot = createTakeSlot(database.db, 20);
  expect(await takeSlot(client, false)).toEqual({ taken: false, waitMs: 20 });
  const reserved = await takeSlot(client, true);
  expect(reserved.taken && reserved.waitMs).toBeGreaterThan(20_000);
  await sql`update steward.client_states set next_slot_at = null where client_id = ${client}`.execute(database.db);
  await take(looking, 'look', 'background');
  expect(order.at(-1)).toBe('look');
});

test('a turn that is impossibly far away, after a clock was set back, is nobody’s', async () => {
  const client = newClient();
  await sql`insert into steward.client_states (client_id, next_slot_at) values (${client}, clock_timestamp() + interval '1 day')`.execute(
    database.db,
  );
  expect((await createTakeSlot(database.db, 50)(client, false)).taken).toBe(true);
  const next = await createTakeSlot(database.db, 50)(client, true);
  expect(next.waitMs).toBeLessThanOrEqual(50);
});

test('a database that does not give turns keeps nobody from refreshing', async () => {
  const pacer = createPacer({ takeSlot: () => Promise.reject(new Error('away')) });
  await pacer.take('client', 'caller');
});

test('a 429 of the token endpoint holds every process of the client id', async () => {
  const [refused, waiting] = [await fileOne(database.db), await fileOne(database.db)];
  const one = playGrants(database.db);
  one.zoom.script.push(async () => ({ kind: 'server', status: 429, retryAfterMs: 30_000, detail: '' }));
  expect((await one.grants.accessToken(refused.grantId, { patienceMs: 500 })).kind).toBe('temporarily_unavailable');
  const two = playGrants(database.another(), { holder: 'two' });
  expect(await two.grants.accessToken(waiting.grantId, { patienceMs: 500 })).toEqual({
    kind: 'temporarily_unavailable',
    reason: 'rate_limited',
  });
  expect(two.zoom.sent).toEqual([]);
  await sql`update steward.client_states set paused_until = null`.execute(database.db);
});

test('refreshes of two processes are spaced, not those of one alone', async () => {
  const sentAt: number[] = [];
  const filed = await Promise.all([0, 1, 2, 3].map(() => fileOne(database.db)));
  const gate = createGate();
  const asked = filed.map(({ grantId }, at) => {
    const { grants, zoom } = playGrants(database.another(2), { holder: `p${at}`, pacedEveryMs: 60 });
    zoom.script.push(async (_sent, rotate) => {
      sentAt.push(performance.now());
      return rotate();
    });
    return gate.opened.then(() => grants.accessToken(grantId));
  });
  const openedAt = performance.now();
  gate.open();
  expect((await Promise.all(asked)).map(({ kind }) => kind)).toEqual(['token', 'token', 'token', 'token']);
  // From the opening, not from the first: a busy machine may send that one late.
  expect(Math.max(...sentAt) - openedAt).toBeGreaterThan(3 * 60 - 30);
});
