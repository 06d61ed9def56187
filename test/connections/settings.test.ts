import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import type { Asker } from '../../src/connections/authority.ts';
import { requestVerification } from '../../src/connections/request-verification.ts';
import {
  assumedBy,
  type ChangeRequest,
  changeSettings,
  mergeSettings,
  readSettings,
} from '../../src/connections/settings.ts';
import { previewUnder } from '../../src/reconciliation/preview-disconnect.ts';
import { useDatabase } from '../support/database.ts';
import { connectActive } from './connecting.ts';
import { advanceClock, connectionRow, insertOrganization } from './organization.ts';
import { playConnections } from './scripted-zoom.ts';

const database = useDatabase();

async function setting() {
  const { db } = database;
  const play = playConnections(db);
  const organization = await insertOrganization(db);
  const { connectionId } = await connectActive(play, organization, `acc-${organization.id}`);
  const owner: Asker = { memberId: organization.owner.id };
  const change = (changes: ChangeRequest['changes'], more: Partial<ChangeRequest> = {}) =>
    db
      .transaction()
      .execute((trx) => changeSettings(trx, { organizationId: organization.id, changes, asker: owner, ...more }));
  const runs = async () =>
    (
      await db
        .selectFrom('steward.runs')
        .select(['cause', 'generation'])
        .where('organization_id', '=', organization.id)
        .orderBy('created_at')
        .execute()
    ).map(({ cause }) => cause);
  return { db, organization, connectionId, owner, change, runs, row: () => connectionRow(db, connectionId) };
}

describe('settings of an organization', () => {
  it('Zoom for new event types: what is new begins when it is turned on, and again when the organization connects', async () => {
    const { db, organization, change, connectionId } = await setting();
    const since = async () => {
      const { rows } = await sql<{ since: Date | null }>`
        select new_event_types_since as since from steward.organization_settings where organization_id = ${organization.id}`.execute(
        db,
      );
      return rows[0]?.since?.getTime() ?? null;
    };
    const before = Date.now() - 1_000;
    expect(await change({ zoomForNewEventTypes: true })).toMatchObject({
      changed: ['zoomForNewEventTypes'],
      runId: null,
    });
    const first = (await since()) as number;
    expect(first).toBeGreaterThan(before);
    await change({ archiveDays: 30 });
    expect(await since()).toBe(first);
    await change({ zoomForNewEventTypes: false });
    expect(await since()).toBeNull();
    await change({ zoomForNewEventTypes: true });
    const second = (await since()) as number;
    expect(second).toBeGreaterThan(first);

    // The same Zoom again, while it is connected, changes nothing; after a time without Zoom it begins anew.
    await connectActive(playConnections(db), organization, `acc-${organization.id}`);
    expect(await since()).toBe(second);
    await sql`update steward.org_connections set state = 'none', disconnected_at = steward.now(), grant_id = null where id = ${connectionId}`.execute(
      db,
    );
    await connectActive(playConnections(db), organization, `acc-${organization.id}`);
    expect(await since()).toBeGreaterThan(second);
  });

  it('have defaults until somebody changes one; what affects nobody raises no generation', async () => {
    const { db, organization, change, row, runs } = await setting();
    expect(await readSettings(db, organization.id)).toMatchObject({
      allowOptOut: false,
      rollout: 'all',
      reconnectDays: 14,
    });
    const { generation } = await row();
    const changed = await change({ reconnectDays: null, archiveDays: 30, meetingSummary: true });
    expect(changed).toMatchObject({
      changed: ['meetingSummary', 'reconnectDays', 'archiveDays'],
      generation,
      runId: null,
    });
    expect(await readSettings(db, organization.id)).toMatchObject({ reconnectDays: null, archiveDays: 30 });
    expect(await change({ archiveDays: 30 })).toMatchObject({ changed: [], runId: null });
    expect(await runs()).toEqual(['activated']);
    const audit = await db
      .selectFrom('steward.audit_log')
      .select(['actor', 'data'])
      .where('action', '=', 'connection.settings_changed')
      .where('organization_id', '=', organization.id)
      .execute();
    expect(audit).toMatchObject([
      { actor: `member:${organization.owner.id}`, data: { before: { archiveDays: 90 }, after: { archiveDays: 30 } } },
    ]);
  });

  it('that decide who is served raise the generation and write its run; wider ones need no confirmation', async () => {
    const { db, organization, change, row, runs } = await setting();
    const before = await row();
    const confirm = { generation: before.generation, typedName: organization.name };
    const narrow = {
      rollout: 'domains',
      rolloutDomains: ['Sales.EXAMPLE', '@bücher.example', 'sales.example'],
    } as const;
    await expect(change(narrow)).rejects.toMatchObject({ code: 'confirmation_missing' });
    await expect(change(narrow, { confirm: { ...confirm, typedName: 'x' } })).rejects.toMatchObject({
      code: 'name_mismatch',
    });
    await expect(change(narrow, { confirm: { ...confirm, generation: 1 } })).rejects.toMatchObject({
      code: 'stale_preview',
    });
    expect((await row()).generation).toBe(before.generation);
    const { after } = await mergeSettings(db, organization.id, narrow);
    const preview = await previewUnder(
      db,
      { organizationId: organization.id, adapter: 'rows' },
      await assumedBy(db, organization.id, after),
    );
    // Nobody of the organization has an address there.
    expect(preview.membersLosingHosting).toBe(4);
    const changed = await change(narrow, { confirm });
    expect(changed).toMatchObject({
      settings: { rolloutDomains: ['sales.example', 'xn--bcher-kva.example'] },
      generation: before.generation + 1,
      runId: expect.any(String),
    });
    await change({ rolloutDomains: ['sales.example', 'xn--bcher-kva.example', organization.domain] });
    await change({ rollout: 'all' });
    expect(await row()).toMatchObject({ state: 'active', generation: before.generation + 3 });
    expect(await runs()).toEqual(['activated', 'settings_changed', 'settings_changed', 'settings_changed']);
  });

  it('can be made before there is a connection, and are refused to whoever may not', async () => {
    const { db } = database;
    const organization = await insertOrganization(db);
    const change = (asker: Asker, changes: ChangeRequest['changes'] = { allowOptOut: true }) =>
      db.transaction().execute((trx) => changeSettings(trx, { organizationId: organization.id, changes, asker }));
    await expect(change({ memberId: organization.people[0]!.id })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(change({ operator: 'ana', reason: ' ' })).rejects.toMatchObject({ code: 'reason_missing' });
    expect(await change({ operator: 'ana', reason: 'ticket 1' })).toMatchObject({
      changed: ['allowOptOut'],
      generation: 0,
    });
    expect(await readSettings(db, organization.id)).toMatchObject({ allowOptOut: true });
  });

  it.each([
    [{ rollout: 'groups' }, /rolloutGroups/],
    [{ rollout: 'domains', rolloutDomains: [' '] }, /rolloutDomains/],
    [{ rolloutGroups: [randomUUID()] }, /1 others/],
    [{ fallbackLocation: { kind: 'zoom_conference' } }, /not Zoom/],
    [{ sharedHost: 'nobody' }, /sharedHost/],
    [{ reconnectDays: 61 }, /reconnectDays/],
    [{ archiveDays: 0 }, /archiveDays/],
  ] as const)('%j is refused, by name', async (changes, sentence) => {
    const organization = await insertOrganization(database.db);
    await expect(
      database.db.transaction().execute((trx) =>
        changeSettings(trx, {
          organizationId: organization.id,
          changes: changes as ChangeRequest['changes'],
          asker: { memberId: organization.owner.id },
        }),
      ),
    ).rejects.toThrow(sentence);
  });
});

describe('verifying on demand', () => {
  it('is owed at most once a minute for an organization, whoever asks, and only where something is connected', async () => {
    const { db, organization, owner, connectionId } = await setting();
    await sql`delete from steward.outbox`.execute(db);
    const ask = (asker: Asker, organizationId = organization.id) =>
      db.transaction().execute((trx) => requestVerification(trx, { organizationId, asker }));
    expect(await ask(owner)).toMatchObject({ connectionId });
    await expect(ask({ operator: 'ana', reason: 'ticket' })).rejects.toMatchObject({ code: 'verified_recently' });
    await advanceClock(db, '61 seconds');
    await ask({ operator: 'ana', reason: 'ticket' });
    await expect(ask({ memberId: organization.people[0]!.id })).rejects.toMatchObject({ code: 'forbidden' });
    const other = await insertOrganization(db);
    await expect(ask({ memberId: other.owner.id }, other.id)).rejects.toMatchObject({ code: 'not_connected' });
    const owed = await db.selectFrom('steward.outbox').select(['job', 'key']).execute();
    expect(owed).toEqual([
      { job: 'verify-admin-role', key: connectionId },
      { job: 'verify-admin-role', key: connectionId },
    ]);
  });
});
