import { sql } from 'kysely';
import { afterEach, describe, expect, test } from 'vitest';
import { createWake, notifyGrant, type Wake } from '../../src/grants/wake.ts';
import { useDatabase } from '../support/database.ts';
import { createGate } from './scripted-zoom.ts';
import { fileOne, playGrants, soon } from './setting.ts';

const database = useDatabase();
const far = 600_000;
const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

const listeners = async (): Promise<number[]> => {
  const { rows } = await sql<{ pid: number }>`
    select pid from pg_stat_activity where application_name = 'zoom-steward grants' and datname = current_database()
       and query = 'listen steward_grant' and state = 'idle'`.execute(database.db);
  return rows.map((row) => row.pid);
};

const makeWake = (): Wake => {
  const wake = createWake({ url: database.url });
  open.push(wake);
  return wake;
};

describe('waiting for a grant to change', () => {
  test('a notification wakes whoever waits for that grant, and nobody else', async () => {
    const wake = makeWake();
    const mine = wake.wait('a', far);
    let other = false;
    const stop = new AbortController();
    const theirs = wake.wait('b', far, stop.signal).then(() => {
      other = true;
    });
    await soon(listeners).toHaveLength(1);
    await notifyGrant(database.db, 'a');
    await mine;
    expect(other).toBe(false);
    stop.abort();
    await theirs;
  });

  test('its time passes and it is aborted without any notification', async () => {
    const wake = makeWake();
    await wake.wait('a', 1);
    const stop = new AbortController();
    const waiting = wake.wait('a', far, stop.signal);
    stop.abort();
    await waiting;
    await wake.wait('a', far, stop.signal);
  });

  test('its connection is cut: polling goes on, and it listens again', async () => {
    const wake = makeWake();
    await wake.wait('a', 1);
    await soon(listeners).toHaveLength(1);
    const [pid] = await listeners();
    await sql`select pg_terminate_backend(${pid})`.execute(database.db);
    // Without a listener a wait ends by its own time.
    await wake.wait('a', 1);
    await soon(async () => {
      await wake.wait('a', 5);
      return (await listeners()).filter((one) => one !== pid).length;
    }).toBe(1);
    const waiting = wake.wait('a', far);
    await notifyGrant(database.db, 'a');
    await waiting;
  });

  test('closing lets everybody go and leaves no connection', async () => {
    const wake = makeWake();
    const waiting = wake.wait('a', far);
    await soon(listeners).toHaveLength(1);
    await wake.close();
    await waiting;
    await soon(listeners).toHaveLength(0);
  });

  test('a waiter in another process has the token with the commit, long before it would poll', async () => {
    const { grantId } = await fileOne(database.db);
    const one = playGrants(database.db);
    const other = playGrants(
      database.db,
      { listenUrl: database.url, times: { pollMs: far, patienceMs: far } },
      one.zoom,
    ).grants;
    open.push(other);
    const answer = createGate();
    one.zoom.script.push(async (_sent, rotate) => {
      await answer.opened;
      return rotate();
    });
    const refreshing = one.grants.accessToken(grantId);
    await soon(() => one.zoom.sent.length).toBe(1);
    const waiting = other.accessToken(grantId);
    await soon(listeners).toHaveLength(1);
    answer.open();
    expect((await waiting).kind).toBe('token');
    expect((await refreshing).kind).toBe('token');
    expect(one.zoom.sent).toHaveLength(1);
  });
});
