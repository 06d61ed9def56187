import { createHash, createHmac } from 'node:crypto';
import { sql } from 'kysely';
import pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { StewardRequestError, signMemberClaim } from '../../src/client/index.ts';
import { useHttpStage } from './stage.ts';

const at = useHttpStage();
const startsAt = '2030-01-02T10:00:00+01:00';

beforeAll(() => at().connectWithoutWorker());

const refusalOf = async (work: Promise<unknown>): Promise<{ status: number; code: string }> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof StewardRequestError)) throw new Error(`Expected a refusal, got ${String(error)}`);
  return { status: error.status, code: error.code };
};

describe('with no worker anywhere', () => {
  test('the last member of an organization that has just become active resolves and gets a meeting', async () => {
    const { services, members, organizationId, zoom } = at();
    const steward = await at().client();
    const stored = await services.db.selectFrom('steward.member_connections').select('member_id').execute();
    expect(stored).toEqual([]);
    const last = members.at(-1) as string;
    expect(await steward.resolve(last)).toMatchObject({
      effective: 'organization',
      hosting: 'can_host',
      reason: 'organization',
    });

    const meeting = await steward.meetings.create({
      organizationId,
      memberId: last,
      topic: 'Hello',
      startsAt,
      durationMinutes: 30,
    });
    expect(meeting).toMatchObject({ connectionKind: 'organization', zoomAccountId: 'acc_http', basicPlan: false });
    expect(zoom.control.meetings()).toContainEqual(
      expect.objectContaining({ hostId: `zu_${members.length - 1}`, deleted: false }),
    );
    expect(JSON.stringify(meeting)).not.toMatch(/token/i);

    expect(await steward.meetings.update({ meetingRef: meeting.meetingRef, topic: 'Hello again' })).toEqual({
      meetingRef: meeting.meetingRef,
    });
    await steward.meetings.delete({ meetingRef: meeting.meetingRef });
    await steward.meetings.delete({ meetingRef: meeting.meetingRef });
    const { text } = await services.metrics.page(services.metrics.sources);
    expect(text).toContain('zoom_steward_meetings_total{action="delete",outcome="done"} 2');
    expect(text).toMatch(/zoom_steward_zoom_requests_total\{endpoint="[\w.]+",status_class="2xx"\} [1-9]/);
    expect(zoom.ledger().filter((call) => call.endpoint === 'meetings.delete')).toHaveLength(1);
    expect(zoom.judge().findings).toEqual([]);
  });

  test('a basic user is flagged; somebody without Zoom user is refused with the reason', async () => {
    const { members, organizationId } = at();
    const steward = await at().client();
    const request = { organizationId, topic: 'x', startsAt, durationMinutes: 30 };
    expect(await steward.meetings.create({ ...request, memberId: members[1] as string })).toMatchObject({
      basicPlan: true,
    });
    expect(await refusalOf(steward.meetings.create({ ...request, memberId: members[3] as string }))).toEqual({
      status: 409,
      code: 'no_zoom_user',
    });
  });

  test('an external personal Zoom is the main app’s to call', async () => {
    const { members, organizationId, services } = at();
    const steward = await at().client();
    const memberId = members[4] as string;
    await sql`insert into steward_app.personal_connections (member_id, organization_id, state) values (${memberId}, ${organizationId}, 'connected')`.execute(
      services.db,
    );
    expect(
      await refusalOf(steward.meetings.create({ organizationId, memberId, topic: 'x', startsAt, durationMinutes: 30 })),
    ).toEqual({ status: 409, code: 'use_your_own' });
  });

  test('while interrupted nothing new is made, and what was booked can be changed', async () => {
    const { members, organizationId, services } = at();
    const steward = await at().client();
    const memberId = members[6] as string;
    const { meetingRef } = await steward.meetings.create({
      organizationId,
      memberId,
      topic: 'x',
      startsAt,
      durationMinutes: 30,
    });
    await sql`update steward.org_connections set state = 'interrupted'`.execute(services.db);
    try {
      expect(
        await refusalOf(
          steward.meetings.create({ organizationId, memberId, topic: 'y', startsAt, durationMinutes: 30 }),
        ),
      ).toEqual({ status: 409, code: 'interrupted' });
      await steward.meetings.update({ meetingRef, topic: 'moved' });
    } finally {
      await sql`update steward.org_connections set state = 'active'`.execute(services.db);
    }
  });

  test('a meeting of a connection that is gone is detached', async () => {
    const { members, organizationId, services } = at();
    const steward = await at().client();
    const { meetingRef } = await steward.meetings.create({
      organizationId,
      memberId: members[8] as string,
      topic: 'x',
      startsAt,
      durationMinutes: 30,
    });
    await sql`update steward.meetings set zoom_account_id = 'acc_other' where id = ${meetingRef}`.execute(services.db);
    expect(await refusalOf(steward.meetings.update({ meetingRef, topic: 'y' }))).toEqual({
      status: 410,
      code: 'detached',
    });
  });

  test('hosting of an event type names who can host and why not', async () => {
    const { members, organizationId, services } = at();
    const steward = await at().client();
    const { rows } = await sql<{ id: string }>`
      insert into steward_app.event_types (id, organization_id, kind, title) values (gen_random_uuid(), ${organizationId}, 'round_robin', 'x') returning id`.execute(
      services.db,
    );
    const eventTypeId = rows[0]?.id as string;
    for (const memberId of [members[2], members[3]]) {
      await sql`insert into steward_app.event_type_hosts (event_type_id, member_id, organization_id) values (${eventTypeId}, ${memberId}, ${organizationId})`.execute(
        services.db,
      );
    }
    const hosts = await steward.hosting({ eventTypeId });
    expect(new Map(hosts.map((host) => [host.memberId, host.hosting]))).toEqual(
      new Map([
        [members[2], 'can_host'],
        [members[3], 'no_zoom_user'],
      ]),
    );
  });
});

describe('doors', () => {
  test('a key without the capability, of another organization, or none is refused', async () => {
    const { members, organizationId, services, owner } = at();
    const request = { organizationId, memberId: members[2] as string, topic: 'x', startsAt, durationMinutes: 30 };
    expect(await refusalOf((await at().client(['connections:read'])).meetings.create(request))).toEqual({
      status: 403,
      code: 'capability_missing',
    });
    expect(
      await refusalOf((await at().client(['meetings:write'], crypto.randomUUID())).meetings.create(request)),
    ).toEqual({ status: 403, code: 'other_organization' });
    expect(await refusalOf((await at().client(['connections:read'])).requestConnectLink({ by: owner }))).toEqual({
      status: 403,
      code: 'capability_missing',
    });
    const revoked = await at().client();
    const keyHash = createHash('sha256').update(revoked.key).digest();
    await sql`update steward.api_keys set revoked_at = now() where key_hash = ${keyHash}`.execute(services.db);
    expect(await refusalOf(revoked.meetings.create(request))).toEqual({ status: 401, code: 'unauthorized' });
  });

  test('only an owner or admin asks for links, by their row and not by their claim', async () => {
    const { user } = at();
    expect(await refusalOf((await at().client()).requestConnectLink({ by: user }))).toEqual({
      status: 403,
      code: 'not_an_admin',
    });
  });

  test('a claim is accepted once, for its organization, unforged, and for sixty seconds', async () => {
    const { server, claimSecret, owner, organizationId } = at();
    const { key } = await at().client();
    const ask = (claim: string | undefined, organization = organizationId) =>
      fetch(`${server.url}/v1/organizations/${organization}/connect-links`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          'content-type': 'application/json',
          ...(claim ? { 'steward-claim': claim } : {}),
        },
        body: '{}',
      }).then((answer) => answer.status);
    const once = signMemberClaim(claimSecret, owner);
    expect([await ask(once), await ask(once)]).toEqual([201, 401]);
    expect(await ask(undefined)).toBe(401);
    expect(await ask(signMemberClaim('another secret that is long enough', owner))).toBe(401);
    expect(await ask(signMemberClaim(claimSecret, { ...owner, organizationId: crypto.randomUUID() }))).toBe(401);

    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const forge = (header: object, body: object) => {
      const signed = `${encode(header)}.${encode(body)}`;
      return `${signed}.${createHmac('sha256', claimSecret).update(signed).digest('base64url')}`;
    };
    const now = Math.floor(Date.now() / 1000);
    const body = {
      aud: 'zoom-steward',
      sub: owner.memberId,
      org: organizationId,
      jti: crypto.randomUUID(),
      iat: now,
      exp: now + 60,
    };
    const header = { alg: 'HS256', typ: 'JWT' };
    expect(await ask(forge(header, { ...body, jti: crypto.randomUUID(), exp: now + 61 }))).toBe(401);
    expect(await ask(forge(header, { ...body, jti: crypto.randomUUID(), iat: now - 120, exp: now - 60 }))).toBe(401);
    expect(await ask(forge({ ...header, alg: 'none' }, { ...body, jti: crypto.randomUUID() }))).toBe(401);
    expect(await ask(forge(header, body))).toBe(201);
  });

  test('bad input is named; unknown calls and references are 404', async () => {
    const { organizationId, members } = at();
    const steward = await at().client();
    const bad = steward.meetings.create({
      organizationId,
      memberId: members[2] as string,
      topic: '',
      startsAt: 'tomorrow',
      durationMinutes: 0,
    });
    await expect(bad).rejects.toThrow(/topic.*startsAt.*durationMinutes/s);
    expect(await refusalOf(steward.meetings.update({ meetingRef: crypto.randomUUID(), topic: 'x' }))).toEqual({
      status: 404,
      code: 'unknown_meeting',
    });
    expect(await refusalOf(steward.confirmConnection({ by: at().owner, candidateId: crypto.randomUUID() }))).toEqual({
      status: 404,
      code: 'candidate_not_found',
    });
  });
});

test('announcements are written in the caller’s transaction, with Kysely and with pg', async () => {
  const { services, members } = at();
  const steward = await at().client();
  const count = async () =>
    (await sql<{ n: number }>`select count(*) as n from steward.outbox where key = ${members[5]}`.execute(services.db))
      .rows[0]?.n;
  await services.db
    .transaction()
    .execute(async (trx) => {
      await steward.memberChanged(trx as never, members[5] as string);
      throw new Error('roll back');
    })
    .catch(() => {});
  expect(await count()).toBe(0);
  await services.db.transaction().execute((trx) => steward.memberChanged(trx as never, members[5] as string));
  expect(await count()).toBe(1);
  const client = new pg.Client({ connectionString: services.config.databaseUrl.reveal() });
  await client.connect();
  await steward.memberChanged(client, members[5] as string).finally(() => client.end());
  expect(await count()).toBe(2);
  await expect(steward.memberChanged(services.db as never, null as never)).rejects.toThrow(
    /expected the id of a member, got null/,
  );
});

test('a disconnect needs the preview’s generation and the organization’s name', async () => {
  const { organizationId, owner } = at();
  const steward = await at().client();
  const { generation } = await steward.preview({ organizationId });
  expect(
    await refusalOf(steward.disconnect({ by: owner, generation: generation - 1, organizationName: 'Http & Sons <b>' })),
  ).toEqual({ status: 409, code: 'stale_preview' });
  expect(await refusalOf(steward.disconnect({ by: owner, generation, organizationName: 'Http' }))).toEqual({
    status: 409,
    code: 'name_mismatch',
  });
});

test('nothing that was logged holds a token, a key or a link', async () => {
  const { log, services } = at();
  const steward = await at().client();
  const { url } = await steward.requestConnectLink({ by: at().owner });
  const grant = await services.db.selectFrom('steward.org_connections').select('grant_id').executeTakeFirstOrThrow();
  const access = await services.connections.grants.accessToken(grant.grant_id as string);
  const secrets = [
    steward.key,
    url.split('/').at(-1) as string,
    access.kind === 'token' ? access.token.reveal() : 'none',
  ];
  expect(access.kind).toBe('token');
  for (const secret of secrets) expect(log.join('\n')).not.toContain(secret);
});

test('a one-time run is previewed, ordered by an owner with the setting on, listed and undone', async () => {
  const { organizationId, owner, user, members, services } = at();
  const { db } = services;
  const steward = await at().client();
  await sql`
    insert into steward_app.event_types (id, organization_id, kind, host_member_id, title, created_at)
    values (gen_random_uuid(), ${organizationId}, 'solo', ${members[4]}, 'Call', now() - interval '1 day')`.execute(db);
  const { generation, added } = await steward.oneTimeRuns.preview({ organizationId });
  expect(added.byKind).toMatchObject({ solo: { eventTypes: 1 } });
  const order = (by = owner, of = generation) => steward.oneTimeRuns.order({ by, generation: of });
  expect(await refusalOf(order(user))).toEqual({ status: 403, code: 'not_an_admin' });
  expect(await refusalOf(order())).toEqual({ status: 409, code: 'setting_off' });
  await steward.settings.change({ by: owner, changes: { zoomForNewEventTypes: true } });
  expect(await refusalOf(order(owner, generation - 1))).toEqual({ status: 409, code: 'stale_preview' });
  const { oneTimeRunId } = await order();
  expect(await refusalOf(order())).toEqual({ status: 409, code: 'one_time_run_open' });
  const stranger = steward.oneTimeRuns.undo({ by: owner, oneTimeRunId: organizationId });
  expect(await refusalOf(stranger)).toEqual({ status: 404, code: 'one_time_run_unknown' });
  await steward.oneTimeRuns.undo({ by: owner, oneTimeRunId });
  const { oneTimeRuns } = await steward.oneTimeRuns.list({ organizationId });
  expect(oneTimeRuns).toMatchObject([
    { undoes: oneTimeRunId, state: 'open' },
    { id: oneTimeRunId, undoes: null, state: 'dropped', actor: `member:${owner.memberId}` },
  ]);
});

describe('mappings', () => {
  test('an owner previews and writes them; who hosts as whom is right at once; refused ones name their line', async () => {
    const { members, owner, organizationId } = at();
    const steward = await at().client();
    const [without, first] = [members[3] as string, members[5] as string];
    expect(
      await steward.mappings.preview({ by: owner, csv: `member_id,zoom_user\n${without},zu_admin` }),
    ).toMatchObject({ new: 1, problems: {} });
    const entries = [{ member: without, zoomUser: 'zu_admin' }];
    expect(await steward.mappings.write({ by: owner, entries })).toMatchObject({ new: 1 });
    expect(await steward.resolve(without)).toMatchObject({ hosting: 'can_host', zoomUserId: 'zu_admin' });
    expect(await steward.mappings.list({ organizationId })).toMatchObject({
      mappings: [{ memberId: without, zoomUserId: 'zu_admin', origin: 'person', actor: `member:${owner.memberId}` }],
      next: null,
    });
    const bad = [...entries, { member: first, zoomUser: 'nobody' }];
    const refused = await steward.mappings.write({ by: owner, entries: bad }).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'mappings_refused',
      status: 409,
      details: { lines: [{ line: 2, problem: expect.stringContaining('unknown_zoom_user') }] },
    });
    const ended = await steward.mappings.write({ by: owner, entries: [{ member: without, zoomUser: null }] });
    expect(ended).toMatchObject({ ended: 1 });
    expect(await refusalOf(steward.mappings.write({ by: at().user, entries }))).toEqual({
      status: 403,
      code: 'not_an_admin',
    });
  });
});

describe('domains that mean the same people', () => {
  test('an owner says so after a preview, and takes it back with the preview’s generation and the name', async () => {
    const { members, owner, organizationId, services } = at();
    const steward = await at().client();
    await sql`
      insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
      values ('acc_http', 'zu_other', 'zu_other', 'm3@other.example', 'active', 2, steward.now())`.execute(services.db);
    const pair = { domain: 'http.example', sameAs: 'other.example' };
    const preview = await steward.equivalences.preview({ by: owner, change: 'add', ...pair });
    expect(preview).toMatchObject({ ...pair, new: 1, ended: 0, changed: true, needsConfirmation: false });
    expect(await steward.equivalences.list({ organizationId })).toEqual({ equivalences: [] });
    expect(await steward.equivalences.add({ by: owner, ...pair })).toEqual(preview);
    expect(await steward.resolve(members[3] as string)).toMatchObject({ hosting: 'can_host', zoomUserId: 'zu_other' });
    expect(await steward.equivalences.list({ organizationId })).toMatchObject({
      equivalences: [{ ...pair, members: 1 }],
    });

    expect(await refusalOf(steward.equivalences.remove({ by: owner, ...pair }))).toEqual({
      status: 409,
      code: 'confirmation_missing',
    });
    const { generation } = await steward.equivalences.preview({ by: owner, change: 'remove', ...pair });
    const organizationName = 'Http & Sons <b>';
    expect(await steward.equivalences.remove({ by: owner, ...pair, generation, organizationName })).toMatchObject({
      ended: 1,
    });
    expect(await refusalOf(steward.equivalences.add({ by: owner, ...pair, sameAs: 'gmail.com' }))).toEqual({
      status: 409,
      code: 'domain_public',
    });
    expect(await refusalOf(steward.equivalences.add({ by: at().user, ...pair }))).toMatchObject({
      code: 'not_an_admin',
    });
    expect(await steward.mappings.suggest({ organizationId })).toEqual({
      members: [],
      domains: [],
      looked: 0,
      next: null,
    });
    await sql`delete from steward.directory_users where user_key = 'zu_other'`.execute(services.db);
  });
});
