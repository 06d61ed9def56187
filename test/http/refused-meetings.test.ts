import { sql } from 'kysely';
import { beforeAll, expect, test } from 'vitest';
import { MeetingRefusedError, type Steward } from '../../src/client/index.ts';
import { useHttpStage } from './stage.ts';

const at = useHttpStage();
let steward: Steward;
beforeAll(async () => {
  await at().connectWithoutWorker();
  steward = await at().client();
});

const forward = (minutes: number) =>
  sql`update steward.clock set offset_by = offset_by + ${minutes} * interval '1 minute'`.execute(at().services.db);
const book = () =>
  steward.meetings
    .create({
      ...{ organizationId: at().organizationId, memberId: at().members[2] as string },
      ...{ topic: 'Introduction', startsAt: '2030-01-02T10:00:00Z', durationMinutes: 30 },
    })
    .then(
      () => 'made',
      (error: unknown) => (error instanceof MeetingRefusedError ? error.code : String(error)),
    );
const connection = () =>
  at()
    .services.db.selectFrom('steward.org_connections')
    .select(['id', 'state', 'interrupted_reason', 'at_risk_reason'])
    .executeTakeFirstOrThrow();
const look = async () =>
  at().services.jobs.verifyConnection((await connection()).id, { signal: new AbortController().signal });
const looksOwed = async () =>
  (await at().services.db.selectFrom('steward.outbox').select('job').where('job', '=', 'verify-admin-role').execute())
    .length;

test('a demotion that only meetings show is found by them, in two looks, and resumes when the role is back', async () => {
  const { control } = at().zoom;
  control.setToggles({ demotion: 'fails_calls', meeting_privilege: 'User:Edit' });
  control.setRole({ accountId: 'acc_http', role: { id: 'trimmed', name: 'Trimmed', privileges: ['User:Read'] } });
  expect(await book()).toBe('made');
  const become = (roleId: string) =>
    control.changeUser({ accountId: 'acc_http', userId: 'zu_admin', change: { roleId } });
  become('trimmed');
  // What we ask when we look goes on working: nobody knows which privilege meetings need, so a list alone concludes nothing.
  expect(await look()).toMatchObject({ summary: 'passed' });
  expect((await connection()).state).toBe('active');

  await at().services.db.deleteFrom('steward.outbox').execute();
  expect(await book()).toBe('interrupted');
  expect(await looksOwed()).toBe(1);
  expect(await look()).toMatchObject({ summary: 'suspect' });
  await forward(11);
  expect(await look()).toMatchObject({ summary: 'inconclusive' });
  expect(await book()).toBe('interrupted');
  expect(await look()).toMatchObject({ summary: 'interrupted' });
  expect(await connection()).toMatchObject({
    state: 'interrupted',
    interrupted_reason: 'permission to make or change meetings; permission: User:Edit',
  });
  expect(await look()).toMatchObject({ summary: 'interrupted' });

  become('1');
  expect(await look()).toMatchObject({ summary: 'passed' });
  expect(await connection()).toMatchObject({ state: 'active', interrupted_reason: null });
  expect(await book()).toBe('made');
});

test('one meeting that works between the looks ends the suspicion, whichever tokens were refused', async () => {
  at().zoom.control.addFault({ endpoint: 'meetings.create', kind: 'error_in_200', count: 1 });
  expect(await book()).toBe('interrupted');
  expect(await look()).toMatchObject({ summary: 'suspect' });
  // Renewed meanwhile, so that the breaker of these tokens is not there: the record of the refusal is.
  await forward(61);
  at().zoom.control.advanceClock({ ms: 61 * 60_000 });
  expect(await book()).toBe('made');
  expect(await at().services.db.selectFrom('steward.call_breakers').selectAll().execute()).toEqual([]);
  expect(await look()).toMatchObject({ summary: 'passed' });
});
