/**
 * A process of its own that asks for tokens, for tests that need several or that kill one. Started by
 * refresher-process.ts, which sends one order and, where it says so, the word to begin.
 */
import { createHash } from 'node:crypto';
import { createDatabase } from '../../src/db/database.ts';
import { createGrants } from '../../src/grants/grants.ts';
import { createVault } from '../../src/grants/vault.ts';
import { Secret } from '../../src/secret.ts';
import { simulatorEndpoints } from '../../src/zoom/endpoints.ts';
import { createZoomOauth } from '../../src/zoom/oauth.ts';
import type { RefresherOrder, RefresherWord } from './refresher-process.ts';

const say = (word: RefresherWord): void => void process.send?.(word);

async function obey(order: RefresherOrder): Promise<void> {
  const db = createDatabase({ url: order.databaseUrl, max: 4 });
  const endpoints = simulatorEndpoints(order.zoomUrl);
  const grants = createGrants({
    db,
    oauth: createZoomOauth({ endpoints }),
    clients: [{ ...order.client, secrets: order.client.secrets.map((secret) => new Secret(secret)) }],
    vault: createVault({ keys: [{ id: order.key.id, key: new Secret(order.key.text) }], activeKeyId: order.key.id }),
    api: endpoints,
    holder: `refresher:${process.pid}`,
    listenUrl: order.databaseUrl,
    pacedEveryMs: 0,
    onCrashPoint: (point) => {
      if (point === order.dieAt) process.kill(process.pid, 'SIGKILL');
    },
  });
  say({ kind: 'ready' });
  process.once('message', async () => {
    const asked = Array.from({ length: order.callers }, () =>
      order.work === 'retire' ? grants.retire(order.grantId) : grants.accessToken(order.grantId),
    );
    // The pool is first come, first served: once this one was answered, all of them have looked and queued.
    if (order.work === 'token') await grants.accessToken(order.grantId, { patienceMs: 0 });
    say({ kind: 'asking' });
    const got = await Promise.all(asked);
    const answers = got.map((one) =>
      one.kind === 'token' ? `token:${createHash('sha256').update(one.token.reveal()).digest('hex')}` : one.kind,
    );
    say({ kind: 'done', answers });
    await grants.close();
    await db.destroy();
    process.disconnect();
  });
}

process.once('message', (order: RefresherOrder) => void obey(order));
