import { expect, test } from 'vitest';
import { createZoomApi } from '../../src/zoom/api.ts';
import { simulatorEndpoints } from '../../src/zoom/endpoints.ts';
import { useDatabase } from '../support/database.ts';
import { startRefresher } from './refresher-process.ts';
import { outcomes, soon } from './setting.ts';
import { useSimulatedZoom } from './simulated-zoom.ts';

const database = useDatabase();
const zoom = useSimulatedZoom('cruel');

test('64 callers in 4 processes with an expired token: one refresh at Zoom, and its token for all of them', async () => {
  const { grantId, ...where } = await zoom.fileByConsent(database.db);
  const { control, url } = zoom.simulator;
  const order = { databaseUrl: database.url, zoomUrl: url, grantId, callers: 16 };
  const processes = await Promise.all([1, 2, 3, 4].map(() => startRefresher(order)));
  const held = control.addFault({ endpoint: 'oauth.refresh', kind: 'hold', when: 'after' });
  await Promise.all(processes.map((process) => process.begin()));
  await control.waitForCalls({ endpoint: 'oauth.refresh', count: 1 });
  // All 64 are waiting now, and would have had the time to start another.
  await soon(async () => (await outcomes(database.db, grantId)).length).toBe(1);
  control.releaseFault(held);
  const answers = (await Promise.all(processes.map((process) => process.answers))).flat();
  expect(answers).toHaveLength(64);
  expect(new Set(answers).size).toBe(1);
  expect(answers[0]).toMatch(/^token:/);
  expect(await outcomes(database.db, grantId)).toEqual(['rotated']);
  expect(zoom.refreshes(where)).toBe(1);
  expect(zoom.simulator.judge().findings).toEqual([]);
  expect(await Promise.all(processes.map((process) => process.ended))).toEqual([null, null, null, null]);

  const grants = zoom.grants(database.db);
  const me = await grants.call(grantId, (auth) => createZoomApi({ endpoints: simulatorEndpoints(url) }).me(auth));
  expect(me).toMatchObject({ kind: 'answer', answer: { ok: true, value: { id: where.userId } } });
  expect(zoom.refreshes(where)).toBe(1);
}, 120_000);
