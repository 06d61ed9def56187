import { expect, test } from 'vitest';
import { createZoomApi } from '../../src/zoom/api.ts';
import { simulatorEndpoints } from '../../src/zoom/endpoints.ts';
import { useDatabase } from '../support/database.ts';
import { grantRow } from './setting.ts';
import { simulatedClient, useSimulatedZoom } from './simulated-zoom.ts';

const database = useDatabase();
const zoom = useSimulatedZoom('cruel');

test('a grant that Zoom ended is not called on and on with its old token while the second look is awaited', async () => {
  const { grantId, accountId } = await zoom.fileByConsent(database.db);
  const grants = zoom.grants(database.db);
  const api = createZoomApi({ endpoints: simulatorEndpoints(zoom.simulator.url) });
  const me = () => grants.call(grantId, (auth) => api.me(auth));
  expect(await me()).toMatchObject({ kind: 'answer', answer: { ok: true } });
  zoom.simulator.control.revokeGrants({ clientId: simulatedClient.clientId, accountId });
  const got = [];
  for (let calls = 0; calls < 10; calls += 1) got.push(await me());
  expect(got).toEqual(got.map(() => ({ kind: 'temporarily_unavailable', reason: 'suspect' })));
  expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'suspect' });
  expect(zoom.simulator.judge().findings).toEqual([]);
  api.close();
});
