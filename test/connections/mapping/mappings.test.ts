import { sql } from 'kysely';
import { beforeAll, describe, expect, it } from 'vitest';
import { addressForms } from '../../../src/connections/address-forms.ts';
import type { Asker } from '../../../src/connections/authority.ts';
import { importMappings, previewMappings } from '../../../src/connections/mapping/import-mappings.ts';
import { listMappings } from '../../../src/connections/mapping/list-mappings.ts';
import { reconcileMember } from '../../../src/reconciliation/reconcile-member.ts';
import { useDatabase } from '../../support/database.ts';
import { accountWith, connectActive, owed } from '../connecting.ts';
import { insertOrganization, type TestOrganization, toldTypes } from '../organization.ts';
import { playConnections, scriptedVault } from '../scripted-zoom.ts';

const database = useDatabase();
let organization: TestOrganization;
let connectionId: string;
const forms = addressForms(scriptedVault);
const operator: Asker = { operator: 'jo', reason: 'ticket 1' };

/** user0 … user5 are members; Zoom has user0 … user2 at their addresses, and x0 … x3 at others. */
beforeAll(async () => {
  const { db } = database;
  const play = playConnections(db);
  organization = await insertOrganization(db, { users: 6 });
  const account = `acc-${organization.id}`;
  const emails = organization.people.slice(0, 3).map(({ email }) => email);
  const admin = accountWith(
    play.scripted,
    account,
    [...emails, organization.owner.email, organization.admin.email],
    `it@${organization.domain}`,
  );
  play.scripted.zoom.users.push(
    ...[0, 1, 2, 3].map((n) => ({ id: `x${n}`, email: `x${n}@elsewhere.example`, account })),
    { id: 'pending', email: 'pending@elsewhere.example', account, status: 'pending' as const },
    { id: 'x3b', email: 'X3@elsewhere.example', account },
  );
  ({ connectionId } = await connectActive(play, organization, account, admin));
  for (const { id } of organization.people) await reconcileMember(db, id, { cause: 'test', actor: 'schedule' });
});

const member = (n: number): string => organization.people[n]!.id;
const input = (...lines: string[]) => ({ csv: ['member,zoom_user', ...lines].join('\n') });
const preview = (...lines: string[]) =>
  previewMappings(database.db, { organizationId: organization.id, input: input(...lines), forms });
const apply = (asker: Asker, ...lines: string[]) =>
  importMappings(database.db, { organizationId: organization.id, input: input(...lines), forms, asker });
const stored = async (): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await listMappings(database.db, organization.id)).map(({ memberId, zoomUserId }) => [memberId, zoomUserId]),
  );
const resolve = async (id: string) =>
  (
    await sql<{
      hosting: string;
      zoom_user_id: string | null;
    }>`select hosting, zoom_user_id from steward.resolve_member(${id})`.execute(database.db)
  ).rows[0];

describe('a preview', () => {
  it('counts what would happen and names every line that cannot be done; nothing is changed', async () => {
    const summary = await preview(
      `${member(3)},x0`,
      `${organization.people[4]!.email.toUpperCase()},X1@elsewhere.example`,
      `nobody@elsewhere.example,x2`,
      `${member(5)},unknown`,
      `${member(5)},pending@elsewhere.example`,
      `${member(0)},x3@elsewhere.example`,
      `${member(1)},acc-${organization.id}-u2`,
      `${member(2)},`,
      `${organization.owner.id},none`,
    );
    expect(summary).toMatchObject({ new: 2, moved: 0, ended: 0, unchanged: 1, blank: 1 });
    expect(summary.problems).toEqual({
      unknown_member: 1,
      member_twice: 2,
      ambiguous_zoom_user: 1,
      zoom_user_taken: 1,
    });
    expect(summary.lines.map(({ line, problem }) => `${line} ${problem.split(':')[0]}`)).toEqual([
      '4 unknown_member',
      '5 member_twice',
      '6 member_twice',
      '7 ambiguous_zoom_user',
      '8 zoom_user_taken',
    ]);
    const single = await preview(`${member(5)},unknown`, `${member(4)},pending@elsewhere.example`);
    expect(single.problems).toEqual({ unknown_zoom_user: 1, pending_zoom_user: 1 });
    expect(await stored()).toEqual({});
  });
});

describe('an import', () => {
  it('is all or nothing', async () => {
    const refused = await apply(operator, `${member(3)},x0`, `${member(4)},unknown`);
    expect(refused).toMatchObject({ written: false, summary: { new: 1, problems: { unknown_zoom_user: 1 } } });
    expect((await apply(operator, `${member(3)},x0`, '"never closed')).written).toBe(false);
    expect(await stored()).toEqual({});
  });

  it('hosts members at once, tells them, says "look", and is audited with its reason', async () => {
    const { db } = database;
    await sql`delete from steward.outbox`.execute(db);
    expect(await resolve(member(3))).toMatchObject({ hosting: 'no_zoom_user' });
    const done = await apply(
      { memberId: organization.owner.id },
      `${member(3)},x0`,
      `${member(4)},x1@elsewhere.example`,
    );
    expect(done).toMatchObject({ written: true, summary: { new: 2 } });
    expect(await resolve(member(3))).toEqual({ hosting: 'can_host', zoom_user_id: 'x0' });
    expect((await owed(db)).map(({ payload }) => payload['memberId'])).toEqual([member(3), member(4)]);
    expect((await toldTypes(db, organization.id)).filter((type) => type === 'member.mapped')).toHaveLength(2);
    // Users swap, one mapping ends, one stays; who is not named keeps theirs.
    const swapped = await apply(operator, `${member(3)},x1`, `${member(4)},x0`);
    expect(swapped).toMatchObject({ written: true, summary: { moved: 2 } });
    expect(await apply(operator, `${member(3)},x1`)).toMatchObject({ written: true, summary: { unchanged: 1 } });
    expect(await apply(operator, `${member(3)},none`)).toMatchObject({ summary: { ended: 1 } });
    expect(await stored()).toEqual({ [member(4)]: 'x0' });
    expect((await preview(`${member(5)},x0`)).problems).toEqual({ zoom_user_taken: 1 });
    const { rows } = await sql`
      select actor, reason, data from steward.audit_log where action = 'mappings.written' order by at desc limit 1`.execute(
      db,
    );
    expect(rows[0]).toMatchObject({ actor: 'operator:jo', reason: 'ticket 1', data: { ended: 1, new: 0 } });
  });

  it('is for owners: an admin, a user, or an operator without a reason is refused', async () => {
    const line = `${member(5)},x2`;
    await expect(apply({ memberId: organization.admin.id }, line)).rejects.toMatchObject({ code: 'owner_only' });
    await expect(apply({ memberId: member(0) }, line)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(apply({ operator: 'jo', reason: ' ' }, line)).rejects.toMatchObject({ code: 'reason_missing' });
  });

  it('of many members is one run, and one event a thousand', async () => {
    const { db } = database;
    await sql`
      insert into steward_app.members (id, organization_id, name, email, email_verified, role)
      select gen_random_uuid(), ${organization.id}, 'many', 'many' || n || '@many.example', true, 'user' from generate_series(1, 60) n`.execute(
      db,
    );
    await sql`
      insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
      select ${`acc-${organization.id}`}, 'many' || n, 'many' || n, 'other' || n || '@many.example', 'active', 2, steward.now() from generate_series(1, 60) n`.execute(
      db,
    );
    await sql`delete from steward.outbox`.execute(db);
    const lines = Array.from({ length: 60 }, (_, n) => `many${n + 1}@many.example,many${n + 1}`);
    expect(await apply(operator, ...lines)).toMatchObject({ written: true, summary: { new: 60 } });
    expect((await owed(db)).map(({ job }) => job)).toEqual(['reconcile-organization']);
    expect((await toldTypes(db, organization.id)).filter((type) => type === 'members.mapped')).toHaveLength(1);
  });

  it('needs a connection', async () => {
    await sql`update steward.org_connections set state = 'disconnecting' where id = ${connectionId}`.execute(
      database.db,
    );
    await expect(preview(`${member(5)},x2`)).rejects.toMatchObject({ code: 'not_connected' });
    await sql`update steward.org_connections set state = 'active' where id = ${connectionId}`.execute(database.db);
  });
});
