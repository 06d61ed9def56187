import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import { MeetingRefusedError, type Steward, ZoomTokenRefused } from '../../src/client/index.ts';
import { passObstacles } from '../../src/http/meetings/obstacles.ts';
import { takeQuota } from '../../src/http/meetings/quotas.ts';
import { pairwiseProfiles } from '../../src/simulator/pairwise.ts';
import { profile } from '../../src/simulator/toggles.ts';
import { useHttpStage } from './stage.ts';

const at = useHttpStage();
const request = { topic: 'Introduction', startsAt: '2030-01-02T10:00:00+01:00', durationMinutes: 30 };
let steward: Steward;
let nextMember = 5;

beforeAll(async () => {
  await at().connectWithoutWorker();
  steward = await at().client();
});

/** A member with a licensed Zoom user whom no other test uses. */
const somebody = () => {
  nextMember += 1;
  return {
    organizationId: at().organizationId,
    memberId: at().members[nextMember] as string,
    zoomUserId: `zu_${nextMember}`,
  };
};
const book = ({ organizationId, memberId }: { organizationId: string; memberId: string }, idempotencyKey?: string) =>
  steward.meetings.create({ organizationId, memberId, ...request, ...(idempotencyKey && { idempotencyKey }) });
const refusal = async (work: Promise<unknown>): Promise<MeetingRefusedError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof MeetingRefusedError)) throw new Error(`Expected a refusal of a meeting, got ${String(error)}`);
  return error;
};
const codeOf = async (work: Promise<unknown>) => (await refusal(work)).code;
const calls = (endpoint = 'meetings.create') =>
  at()
    .zoom.ledger()
    .filter((call) => call.endpoint === endpoint).length;
/** Our clock goes forward, Zoom's does not. */
const forward = (seconds: number) =>
  sql`update steward.clock set offset_by = offset_by + ${seconds} * interval '1 second'`.execute(at().services.db);
const hosted = (zoomUserId: string) =>
  at()
    .zoom.control.meetings()
    .filter((meeting) => meeting.hostId === zoomUserId && !meeting.deleted).length;

describe('at most once', () => {
  test('the same key gives the same meeting, also to those who ask at once; for another meeting it is refused', async () => {
    const who = somebody();
    const made = await book(who, 'booking-1');
    expect(await book(who, 'booking-1')).toEqual(made);
    expect(
      await codeOf(
        steward.meetings.create({
          ...who,
          ...request,
          topic: 'Other',
          idempotencyKey: 'booking-1',
          ...{ zoomUserId: undefined },
        }),
      ),
    ).toBe('key_reused');
    const many = await Promise.allSettled(Array.from({ length: 5 }, () => book(who, 'booking-2')));
    const refs = many.map((one) =>
      one.status === 'fulfilled' ? one.value.meetingRef : (one.reason as MeetingRefusedError).code,
    );
    expect(new Set(refs.filter((ref) => ref !== 'in_progress')).size).toBe(1);
    expect(hosted(who.zoomUserId)).toBe(2);
    await steward.meetings.delete({ meetingRef: made.meetingRef });
    expect(await codeOf(book(who, 'booking-1'))).toBe('unknown_meeting');
    await forward(24 * 3600 + 1);
    expect((await book(who, 'booking-1')).meetingRef).not.toBe(made.meetingRef);
  });

  test.each([
    { kind: 'reset', when: 'after' },
    { kind: 'server_error', when: 'after' },
    { kind: 'truncate', when: 'after' },
    { kind: 'html', when: 'after', status: 200 },
  ] as const)('an answer lost by $kind is told as unknown, and makes no second meeting', async (fault) => {
    const who = somebody();
    at().zoom.control.addFault({ endpoint: 'meetings.create', ...fault });
    const key = `lost-${fault.kind}`;
    expect(await refusal(book(who, key))).toMatchObject({ status: 504, code: 'outcome_unknown', retryable: false });
    const before = calls();
    expect(await codeOf(book(who, key))).toBe('outcome_unknown');
    expect(calls()).toBe(before);
    await book(who, `${key}-again`);
    expect(hosted(who.zoomUserId)).toBe(2);
  });

  test('a refusal gives the key back; a process that died leaves it unknown', async () => {
    const { db } = at().services;
    const who = somebody();
    at().zoom.control.addFault({ endpoint: 'meetings.create', kind: 'too_many_requests' });
    expect(await refusal(book(who, 'k'))).toMatchObject({ code: 'temporarily_unavailable', retryAfterSeconds: 1 });
    await book(who, 'k');
    await sql`update steward.meeting_requests set state = 'begun', answer = null where idempotency_key = 'k'`.execute(
      db,
    );
    expect(await codeOf(book(who, 'k'))).toBe('in_progress');
    await forward(121);
    expect(await codeOf(book(who, 'k'))).toBe('outcome_unknown');
  });

  test('an error of ours before Zoom is asked gives the key back', async () => {
    const { db } = at().services;
    const who = somebody();
    await sql`alter table steward.host_blocks rename to host_blocks_away`.execute(db);
    try {
      await expect(book(who, 'ours')).rejects.toMatchObject({ status: 500, code: 'internal' });
    } finally {
      await sql`alter table steward.host_blocks_away rename to host_blocks`.execute(db);
    }
    await book(who, 'ours');
  });

  test('what Zoom made and we cannot store is taken back', async () => {
    const { db } = at().services;
    const who = somebody();
    await sql`alter table steward.meetings rename to meetings_away`.execute(db);
    try {
      expect(await refusal(book(who, 'not stored'))).toMatchObject({
        code: 'temporarily_unavailable',
        retryable: true,
      });
    } finally {
      await sql`alter table steward.meetings_away rename to meetings`.execute(db);
    }
    expect(hosted(who.zoomUserId)).toBe(0);
    await book(who, 'not stored');
    expect(hosted(who.zoomUserId)).toBe(1);
  });
});

describe('what is not sent', () => {
  test('the daily limit blocks one host until 00:00 UTC, for making and changing', async () => {
    const [who, other] = [somebody(), somebody()];
    const { meetingRef } = await book(who);
    const message =
      'You have exceeded the daily rate limit (100) of Meeting Create/Update API requests permitted for this particular user.';
    at().zoom.control.addFault({
      endpoint: 'meetings.create',
      kind: 'answer',
      status: 429,
      body: JSON.stringify({ code: 429, message }),
    });
    const first = await refusal(book(who));
    const untilMidnight = 86_400 - (Math.floor(at().zoom.control.now().nowMs / 1_000) % 86_400);
    expect(first).toMatchObject({ code: 'host_daily_limit', status: 429 });
    expect(Math.abs((first.retryAfterSeconds ?? 0) - untilMidnight)).toBeLessThan(30);
    const before = calls();
    const { key } = await at().client();
    const plain = await fetch(`${at().server.url}/v1/meetings`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ organizationId: who.organizationId, memberId: who.memberId, ...request }),
    });
    expect(Number(plain.headers.get('retry-after'))).toBeGreaterThan(1);
    expect(await plain.json()).toMatchObject({ error: { code: 'host_daily_limit', toInvitee: expect.any(String) } });
    expect(await codeOf(steward.meetings.update({ meetingRef, topic: 'moved' }))).toBe('host_daily_limit');
    expect(calls()).toBe(before);
    await book(other);
    await steward.meetings.delete({ meetingRef });
    await forward(untilMidnight + 60);
    await book(who);
  });

  test('who cannot host is looked up, and the rule says why from then on', async () => {
    const who = somebody();
    at().zoom.control.changeUser({ accountId: 'acc_http', userId: who.zoomUserId, change: { status: 'inactive' } });
    expect(await codeOf(book(who))).toBe('zoom_user_inactive');
    const before = calls();
    expect(await codeOf(book(who))).toBe('zoom_user_inactive');
    expect(calls()).toBe(before);
  });

  test('whom Zoom refuses although its directory does not is asked again after five minutes', async () => {
    const who = somebody();
    const body = JSON.stringify({ code: 1120, message: 'Changed text.' });
    at().zoom.control.addFault({ endpoint: 'meetings.create', kind: 'answer', status: 400, body });
    expect((await refusal(book(who))).details).toMatchObject({ code: 'cannot_host', zoomCode: 1120 });
    const before = calls();
    expect(await codeOf(book(who))).toBe('cannot_host');
    expect(calls()).toBe(before);
    await forward(301);
    await book(who);
  });

  test('after three refusals of the connection nothing is sent, then one call tries; each owes a look', async () => {
    const { db } = at().services;
    const [who, other] = [somebody(), somebody()];
    for (const host of [who, other]) await book(host);
    await db.deleteFrom('steward.outbox').execute();
    at().zoom.control.addFault({ endpoint: 'meetings.create', kind: 'error_in_200', count: 4 });
    for (const host of [who, who, other])
      expect(await refusal(book(host))).toMatchObject({ code: 'interrupted', retryable: true });
    const before = calls();
    expect(await refusal(book(who))).toMatchObject({ code: 'interrupted', retryAfterSeconds: 30 });
    expect(calls()).toBe(before);
    const owed = await db.selectFrom('steward.outbox').select('job').where('job', '=', 'verify-admin-role').execute();
    expect(owed.length).toBeGreaterThan(0);
    await forward(31);
    const { grant_id: grantId } = await db
      .selectFrom('steward.org_connections')
      .select('grant_id')
      .executeTakeFirstOrThrow();
    const door = {
      kind: 'organization',
      connectionId: '',
      zoomAccountId: 'acc_http',
      zoomUserId: who.zoomUserId,
    } as const;
    const probe = () => passObstacles(db, { ...door, grantId: grantId as string }, 'create');
    const probes = await Promise.allSettled([probe(), probe(), probe()]);
    expect(probes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    // That one came to nothing: after ten seconds another may try.
    await forward(11);
    expect([await codeOf(book(who)), calls()]).toEqual(['interrupted', before + 1]);
    await forward(61);
    await book(who);
    expect(await db.selectFrom('steward.call_breakers').select('grant_id').execute()).toEqual([]);
  });

  test('a token that Zoom refuses is renewed, and the call made once more', async () => {
    const who = somebody();
    at().zoom.control.advanceClock({ ms: 3_600_000 });
    const [made, refreshed] = [calls(), calls('oauth.refresh')];
    await book(who);
    expect([calls() - made, calls('oauth.refresh') - refreshed]).toEqual([2, 1]);
  });

  test('a token that Zoom goes on refusing is soon not sent any more', async () => {
    const who = somebody();
    const body = JSON.stringify({ code: 124, message: 'Invalid access token.' });
    const before = calls();
    await forward(61);
    at().zoom.control.addFault({ endpoint: 'meetings.create', kind: 'answer', status: 401, body, count: 20 });
    for (let i = 0; i < 8; i += 1) expect(await codeOf(book(who))).toBe('temporarily_unavailable');
    expect(calls() - before).toBe(4);
    at().zoom.control.clearFaults();
    await forward(31);
    await book(who);
  });

  test('one call too many within the minute is refused, for its key or its organization', async () => {
    const { db } = at().services;
    const [key, organizationId] = [{ id: 'k', capabilities: [], organizationId: null }, crypto.randomUUID()];
    const take = (of: string) => takeQuota(db, { perKey: 3, perOrganization: 2 }, key, of);
    await take(organizationId);
    await take(organizationId);
    await expect(take(organizationId)).rejects.toMatchObject({
      code: 'quota_exceeded',
      details: { of: 'organization', perMinute: 2, retryAfterSeconds: expect.any(Number) },
    });
    await expect(take(crypto.randomUUID())).rejects.toMatchObject({ details: { of: 'service_key' } });
    await forward(60);
    await take(organizationId);
  });
});

test('a meeting is changed with the connection that made it, and again when its account is back', async () => {
  const { db } = at().services;
  const { meetingRef } = await book(somebody());
  const move = (account: string) => sql`update steward.org_connections set zoom_account_id = ${account}`.execute(db);
  await move('acc_elsewhere');
  expect(await codeOf(steward.meetings.update({ meetingRef, topic: 'x' }))).toBe('detached');
  await move('acc_http');
  const stranger = await at().client(['meetings:write'], crypto.randomUUID());
  expect(await codeOf(stranger.meetings.delete({ meetingRef }))).toBe('unknown_meeting');
  await steward.meetings.update({ meetingRef, topic: 'x' });
  const changed = `${meetingRef.slice(0, -1)}${meetingRef.endsWith('0') ? '1' : '0'}`;
  expect(await codeOf(steward.meetings.update({ meetingRef: changed, topic: 'x' }))).toBe('unknown_meeting');
  await expect(steward.meetings.update({ meetingRef })).rejects.toMatchObject({ code: 'invalid_request' });
});

test('a member’s own Zoom hosts for them, without the organization’s settings, and changes only what it made', async () => {
  const { db } = at().services;
  const who = somebody();
  const own = crypto.randomUUID();
  // The grant is the organization's: which app it is of is not asked here.
  await sql`
    insert into steward.personal_connections (id, organization_id, member_id, state, grant_id, zoom_account_id, zoom_user_id)
    select ${own}, ${who.organizationId}, ${who.memberId}, 'active', grant_id, zoom_account_id, ${who.zoomUserId}
      from steward.org_connections`.execute(db);
  const made = await book(who);
  expect(made).toMatchObject({ connectionKind: 'personal', connectionId: own, zoomUserId: who.zoomUserId });
  await steward.meetings.update({ meetingRef: made.meetingRef, topic: 'moved' });
  await sql`update steward.personal_connections set zoom_user_id = 'zu_other' where id = ${own}`.execute(db);
  expect(await codeOf(steward.meetings.update({ meetingRef: made.meetingRef, topic: 'x' }))).toBe('detached');
  await sql`update steward.personal_connections set state = 'disconnected', grant_id = null where id = ${own}`.execute(
    db,
  );
  expect(await book(who)).toMatchObject({ connectionKind: 'organization' });
  expect(await codeOf(steward.meetings.delete({ meetingRef: made.meetingRef }))).toBe('detached');
});

describe('raw tokens', () => {
  test('need their capability, are recorded, and are kept by nobody in between', async () => {
    const { services, server } = at();
    const who = somebody();
    const ask = { purpose: 'create', organizationId: who.organizationId, memberId: who.memberId } as const;
    await expect(steward.meetingCredentials(ask)).rejects.toMatchObject({ status: 403, code: 'capability_missing' });
    const raw = await at().client(['credentials:raw']);
    const answer = await fetch(`${server.url}/v1/meeting-credentials`, {
      method: 'POST',
      headers: { authorization: `Bearer ${raw.key}`, 'content-type': 'application/json' },
      body: JSON.stringify(ask),
    });
    const credentials = (await answer.json()) as Record<string, unknown>;
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(Object.keys(credentials).filter((name) => /refresh/i.test(name))).toEqual([]);
    const token = credentials['accessToken'] as string;
    const audit = await services.db
      .selectFrom('steward.audit_log')
      .selectAll()
      .where('action', '=', 'credentials.handed_out')
      .execute();
    expect(audit).toMatchObject([{ subject_id: who.memberId, actor: 'app', data: { purpose: 'create' } }]);
    for (const kept of [JSON.stringify(audit), at().log.join('\n')]) expect(kept).not.toContain(token);
    const again = await raw.meetingCredentials({ ...ask, refusedFingerprint: 'of another token' });
    expect(again.accessToken).toBe(token);
    await forward(61);
    const newer = await raw.meetingCredentials({ ...ask, refusedFingerprint: again.fingerprint });
    expect(newer.accessToken).not.toBe(token);
  });

  test('withZoom gives one for the time of a function, and a newer one after 124', async () => {
    const { services, zoom, organizationId } = at();
    const raw = await at().client(['credentials:raw', 'meetings:write']);
    const who = somebody();
    await sql`insert into steward.organization_settings (organization_id, meeting_summary) values (${organizationId}, true)`.execute(
      services.db,
    );
    let runs = 0;
    let kept: { accessToken: string } | undefined;
    zoom.control.advanceClock({ ms: 3_600_000 });
    await forward(61);
    const target = { organizationId: who.organizationId, memberId: who.memberId };
    const made = await raw.withZoom(target, async (it) => {
      runs += 1;
      kept = it;
      expect(it.meetingDefaults).toEqual({ settings: { auto_start_meeting_summary: true } });
      const body = { topic: 'Raw', type: 2, ...it.meetingDefaults };
      const answer = await it.fetch(`/users/${it.zoomUserId}/meetings`, { method: 'POST', body });
      return (await answer.json()) as { host_id: string };
    });
    expect([runs, made.host_id]).toEqual([2, who.zoomUserId]);
    expect(() => kept?.accessToken).toThrow(/has ended/);

    await forward(61);
    await expect(
      raw.withZoom(target, async () => {
        throw new ZoomTokenRefused('again');
      }),
    ).rejects.toThrow('again');

    const { meetingRef, zoomMeetingId } = await raw.meetings.create({ ...target, ...request });
    await raw.withZoom({ meetingRef }, async (it) => expect(it.zoomMeetingId).toBe(zoomMeetingId));
    const { rows } = await sql<{ id: string }>`
      insert into steward_app.event_types (id, organization_id, kind, title) values (gen_random_uuid(), ${organizationId}, 'round_robin', 'x') returning id`.execute(
      services.db,
    );
    const eventTypeId = rows[0]?.id as string;
    const host = (memberId: string) =>
      sql`insert into steward_app.event_type_hosts (event_type_id, member_id, organization_id) values (${eventTypeId}, ${memberId}, ${organizationId})`.execute(
        services.db,
      );
    await host(who.memberId);
    await raw.withZoom({ organizationId, eventTypeId }, async (it) => expect(it.memberId).toBe(who.memberId));
    await host(at().members[0] as string);
    expect(await codeOf(raw.withZoom({ organizationId, eventTypeId }, async () => {}))).toBe('choose_host');
  });
});

test.each([
  { name: 'kind', toggles: profile('kind') },
  { name: 'cruel', toggles: profile('cruel') },
  ...pairwiseProfiles(11)
    .filter((_, n) => n > 1 && n % 17 === 5)
    .map((toggles, n) => ({ name: `pairwise seed 11, ${n}`, toggles })),
])('$name: a meeting is made with a stale token, changed, and deleted', async ({ toggles }) => {
  const { control } = at().zoom;
  // How consents and demotions go is not asked here.
  control.setToggles({ ...toggles, demotion: 'shrinks_list' });
  try {
    control.advanceClock({ ms: 3_600_000 });
    await forward(61);
    const who = { organizationId: at().organizationId, memberId: at().members[2] as string };
    const { meetingRef } = await book(who);
    await steward.meetings.update({
      meetingRef,
      topic: 'moved',
      startsAt: '2030-01-02T11:00:00.500Z',
      timeZone: 'Europe/Berlin',
    });
    await steward.meetings.delete({ meetingRef });
    const unknown = { ...who, memberId: at().members[0] as string };
    control.changeUser({ accountId: 'acc_http', userId: 'zu_0', change: { type: 4 } });
    expect(['no_meeting_licence', 'cannot_host']).toContain(await codeOf(book(unknown)));
  } finally {
    control.setToggles(profile('kind'));
  }
});

test('nothing of all this was a call that Zoom’s judge minds', () => {
  expect(at().zoom.judge().findings).toEqual([]);
});
