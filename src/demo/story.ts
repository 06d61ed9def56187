import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { insertOutbox } from '../db/outbox-repository.ts';
import { changesOf, planWhole } from '../reconciliation/plan-whole.ts';
import { createBrowser } from './browser.ts';
import type { Moment } from './checks.ts';
import type { Narrator } from './report.ts';
import { type Stage, zoomPeople } from './stage.ts';
import { until } from './until.ts';

/** Numbers of one step, for the JSON report. */
type Counts = Readonly<Record<string, number | string>>;

export type Scene = {
  readonly name: string;
  readonly title: string;
  /** asks the checks of a moment once the scene is over */
  readonly moment?: Moment;
  play(): Promise<Counts>;
};

const minuteMs = 60_000;
const secondLookMs = 11 * minuteMs;
const nextScheduledLookMs = 8 * 60 * minuteMs;
const longWaitMs = 15 * minuteMs;

const n = (value: number): string => value.toLocaleString('en-US');

/** The story as scenes: each does what a person, the main app or Zoom would do, and waits for what follows by itself. */
export function writeStory(stage: Stage, narrator: Narrator): readonly Scene[] {
  const { steward, zoom, world, services } = stage;
  const { db } = services;
  const { organizationId } = world;
  const owner = { organizationId, memberId: world.ownerId };
  const name = (what: string, id: string) =>
    sql`insert into story.named values (${what}, ${id}) on conflict (name) do update set id = excluded.id`.execute(db);

  const connection = () =>
    db
      .selectFrom('steward.org_connections')
      .select(['id', 'state', 'generation', 'at_risk_reason', 'interrupted_reason', 'grant_id'])
      .where('organization_id', '=', organizationId)
      .executeTakeFirstOrThrow();
  const inState = (state: string) =>
    until(`the connection to be ${state}`, async () => (await connection()).state === state, longWaitMs);
  const memberIs = (memberId: string, effective: 'personal' | 'organization' | 'none') =>
    until(`the stored row to say ${effective}`, async () =>
      db
        .selectFrom('steward.member_connections')
        .select(['hosting', 'changed_at'])
        .where('member_id', '=', memberId)
        .where('effective', '=', effective)
        .executeTakeFirst(),
    );
  const memberOf = async (where: string, skip = 0): Promise<{ id: string; i: number }> => {
    const { rows } = await sql
      .raw<{ id: string; i: number }>(
        `select member_id as id, i from story.members where ${where} order by i limit 1 offset ${skip}`,
      )
      .execute(db);
    if (!rows[0]) throw new Error(`The world has no member where ${where}`);
    return rows[0];
  };

  /** "Look at the connection now", as an operator or a hint from Zoom would say it. */
  async function lookNow(): Promise<void> {
    const { id } = await connection();
    await db
      .transaction()
      .execute((trx) => insertOutbox(trx, { job: 'verify-admin-role', key: id, payload: { connectionId: id } }));
  }

  /** Waits for the open run and shows how far it is. */
  async function followRun(): Promise<Counts> {
    const counts = await until(
      'the run to end',
      async () => {
        const run = await db
          .selectFrom('steward.runs')
          .select(['state', 'phase', 'progress', 'counts', 'error'])
          .where('organization_id', '=', organizationId)
          .where('target', '=', 'organization')
          .orderBy('created_at', 'desc')
          .limit(1)
          .executeTakeFirst();
        if (run?.state === 'failed' || run?.state === 'held')
          throw new Error(`The run is ${run.state}: ${run.error ?? 'a person must let it pass'}`);
        const phase = (
          run?.progress as unknown as Record<string, { done: number; total: number | null }> | undefined
        )?.[run?.phase ?? ''];
        if (phase && run) narrator.progress({ stage: run.phase, ...phase });
        return run?.state === 'done' ? (run.counts as unknown as Record<string, number>) : undefined;
      },
      longWaitMs,
    );
    return Object.fromEntries(Object.entries(counts).filter(([, value]) => typeof value === 'number'));
  }

  /** Something that must be found nowhere when the story is over. */
  async function remember(secret: string | null | undefined): Promise<void> {
    if (!secret) throw new Error('The story expected a secret to look for, got none');
    await sql`insert into story.secrets values (${secret}) on conflict do nothing`.execute(db);
  }

  /** Link, button, consent at Zoom, and back: what a Zoom admin does in a browser. */
  async function consentAs(person: { id: string }): Promise<string> {
    const link = await steward.requestConnectLink({ by: owner });
    await remember(new URL(link.url).pathname.split('/').at(-1));
    const browser = createBrowser();
    const shown = await browser.get(link.url);
    if (shown.status !== 200 || !shown.text.includes('northwind.example'))
      throw new Error(`The link's page answered ${shown.status}`);
    const begun = await browser.post(link.url);
    if (!begun.location) throw new Error(`The button answered ${begun.status}: ${begun.text.slice(0, 200)}`);
    const decided = zoom.control.consent({ authorizeUrl: begun.location, user: person.id });
    if (decided.kind !== 'redirected') throw new Error(`Zoom refused ${person.id}: ${decided.why}`);
    for (const name of ['code', 'state']) await remember(new URL(decided.location).searchParams.get(name));
    const back = await browser.get(decided.location);
    if (back.status !== 303) throw new Error(`The callback answered ${back.status}: ${back.text.slice(0, 400)}`);
    return link.url;
  }

  /** Remembers the tokens in use, so that the last check can look for them everywhere. */
  async function rememberSecrets(): Promise<void> {
    const { grant_id: grantId } = await connection();
    if (grantId === null) return;
    const access = await services.connections.grants.accessToken(grantId);
    if (access.kind === 'token') await remember(access.token.reveal());
    const grant = await db
      .selectFrom('steward.grants')
      .select(['client_id', 'version', 'sealed_refresh'])
      .where('id', '=', grantId)
      .executeTakeFirstOrThrow();
    const opened = services.connections.vault.open(grant.sealed_refresh ?? '', {
      table: 'grants',
      column: 'sealed_refresh',
      id: grantId,
      clientId: grant.client_id,
      version: grant.version,
    });
    if (!opened.ok) throw new Error(`The refresh token in use does not open: ${opened.reason}`);
    await remember(opened.secret.reveal());
  }

  const pageOfUsers = 300;

  /** Waits for the verdict. How far the walk is, is told by the pages read: counting what is stored would cost more than storing it. */
  const waiting = (pagesBefore = stage.pagesRead()) =>
    until(
      'a verdict',
      async () => {
        const candidate = await db
          .selectFrom('steward.candidates')
          .select(['id', 'state', 'found', 'verdict'])
          .orderBy('created_at', 'desc')
          .limit(1)
          .executeTakeFirst();
        const total = Math.round(world.members * 0.91);
        const read = stage.pagesRead();
        // Zoom made it begin anew: all that was read since counts.
        const done = Math.min(total, (read < pagesBefore ? read : read - pagesBefore) * pageOfUsers);
        if (done > 0) narrator.progress({ stage: 'Zoom users', done, total, waitingFor: 'Zoom’s limit' });
        if (candidate?.state === 'failed' || candidate?.state === 'expired')
          throw new Error(`The candidate is ${candidate.state}: ${JSON.stringify(candidate.verdict)}`);
        return candidate?.state === 'awaiting_confirmation' || candidate?.state === 'adopted' ? candidate : undefined;
      },
      longWaitMs,
    );

  /** Connects again as another admin; an owner confirms if the rule does not. */
  async function reconnectAs(person: { id: string }): Promise<void> {
    await consentAs(person);
    const candidate = await waiting();
    if (candidate.state === 'awaiting_confirmation')
      await steward.confirmConnection({ by: owner, candidateId: candidate.id });
    await inState('active');
  }

  const zoomLocations = async (): Promise<number> =>
    (
      await db
        .selectFrom('steward_app.locations')
        .select(({ fn }) => fn.countAll<number>().as('n'))
        .where('kind', '=', 'zoom_conference')
        .executeTakeFirstOrThrow()
    ).n;

  /** Copies of what the disconnect took. How many of them somebody could host is counted by a plan, which this one needs not. */
  const offeredCopies = async (): Promise<number> =>
    (
      await db
        .selectFrom('steward.archived_locations')
        .select(({ fn }) => fn.countAll<number>().as('n'))
        .where('organization_id', '=', organizationId)
        .where('offered', '=', true)
        .executeTakeFirstOrThrow()
    ).n;

  let meetingRef = '';
  let joinerId = '';
  let moverId = '';
  let previewed = 0;

  return [
    {
      name: 'connect',
      title: 'An owner asks for a link, a Zoom admin approves',
      async play() {
        const url = await consentAs(zoomPeople.firstAdmin);
        const { id } = await connection();
        await name('connection', id);
        narrator.tell(
          `The link went to ${zoomPeople.firstAdmin.email}, who has no account in the product; opening it began nothing, the button did.`,
        );
        return { linkBits: Buffer.from(new URL(url).pathname.split('/').at(-1) ?? '', 'base64url').length * 8 };
      },
    },
    {
      name: 'verdict',
      title: 'The worker asks Zoom: who approved, what may they do, who is there?',
      async play() {
        const candidate = await waiting();
        const found = candidate.found as { zoomUsers: number; members: number; matched: number };
        narrator.tell(
          `Passed. ${n(found.zoomUsers)} Zoom users; ${n(found.matched)} of ${n(found.members)} people found there. Is this yours?`,
        );
        return { ...found };
      },
    },
    {
      name: 'confirm',
      title: 'An owner says yes: active',
      async play() {
        const candidate = await waiting();
        // Nothing before asked for an event type or a location.
        await world.filled;
        await steward.confirmConnection({ by: owner, candidateId: candidate.id });
        await inState('active');
        const last = await memberOf(`zoom = 'licensed' and not personal and i > ${world.members - 100}`);
        const started = performance.now();
        const resolved = await steward.resolve(last.id);
        const resolveMs = performance.now() - started;
        narrator.tell(
          `Member ${n(last.i)} of ${n(world.members)} is ${resolved?.hosting === 'can_host' ? 'able to host' : resolved?.hosting} already, before any row was written (${resolveMs.toFixed(1)} ms).`,
        );
        await rememberSecrets();
        return { hosting: resolved?.hosting ?? 'unknown', resolveMs: Number(resolveMs.toFixed(2)) };
      },
    },
    {
      name: 'fan out',
      title: `Fan-out to ${n(world.members)} members`,
      moment: 'fanned_out',
      async play() {
        const counts = await followRun();
        const { rows } = await sql<{ hosting: string; n: number }>`
          select hosting, count(*) as n from steward.member_connections where effective = 'organization' group by 1 order by 2 desc`.execute(
          db,
        );
        narrator.tell(rows.map((row) => `${n(row.n)} ${row.hosting}`).join(', '));
        return counts;
      },
    },
    {
      name: 'meeting',
      title: 'A member makes a meeting through the organization’s Zoom',
      async play() {
        const host = await memberOf(`zoom = 'licensed' and not personal`);
        const meeting = await steward.meetings.create({
          organizationId,
          memberId: host.id,
          topic: 'Introduction',
          startsAt: new Date(Date.now() + 3 * 86_400_000).toISOString(),
          durationMinutes: 30,
        });
        meetingRef = meeting.meetingRef;
        await name('meeting', meetingRef);
        await sql`insert into steward_app.bookings (id, organization_id, host_member_id, starts_at, meeting_ref, meeting_connection_id, meeting_zoom_account_id, join_url)
                  values (${randomUUID()}, ${organizationId}, ${host.id}, now() + interval '3 days', ${meetingRef}, ${meeting.connectionId}, ${meeting.zoomAccountId}, ${meeting.joinUrl})`.execute(
          db,
        );
        narrator.tell(`${meeting.joinUrl.slice(0, 48)}… – no token left the worker.`);
        return { meetings: 1 };
      },
    },
    {
      name: 'joiner',
      title: 'Somebody joins',
      moment: 'joined',
      async play() {
        joinerId = randomUUID();
        await name('joiner', joinerId);
        await sql`insert into story.members values (${world.members}, ${joinerId}, ${zoomPeople.joiner.email}, 'licensed', false)`.execute(
          db,
        );
        const started = performance.now();
        await db.transaction().execute(async (trx) => {
          await sql`insert into steward_app.members (id, organization_id, name, email, email_verified, role)
                    values (${joinerId}, ${organizationId}, 'Joiner', ${zoomPeople.joiner.email}, true, 'user')`.execute(
            trx,
          );
          await steward.memberChanged(trx as never, joinerId);
        });
        const first = await steward.resolve(joinerId);
        await until(
          'the joiner to be able to host',
          async () => (await memberIs(joinerId, 'organization')).hosting === 'can_host',
        );
        const ms = performance.now() - started;
        narrator.tell(`Served at once (${first?.hosting}), stored after ${Math.round(ms)} ms.`);
        return { storedMs: Math.round(ms) };
      },
    },
    {
      name: 'personal connect',
      title: 'A member connects a Zoom of their own',
      moment: 'personal_connected',
      async play() {
        moverId = (await memberOf(`zoom = 'licensed' and not personal`, 1)).id;
        await name('mover', moverId);
        const started = performance.now();
        await db.transaction().execute(async (trx) => {
          await sql`insert into steward_app.personal_connections (member_id, organization_id, state, zoom_account_id, zoom_user_id)
                    values (${moverId}, ${organizationId}, 'connected', 'acc_own', 'zu_own')`.execute(trx);
          await steward.memberChanged(trx as never, moverId);
        });
        await memberIs(moverId, 'personal');
        return { storedMs: Math.round(performance.now() - started) };
      },
    },
    {
      name: 'personal disconnect',
      title: 'They disconnect it: the organization takes over by itself',
      moment: 'personal_disconnected',
      async play() {
        const started = performance.now();
        await db.transaction().execute(async (trx) => {
          await sql`update steward_app.personal_connections set state = 'disconnected', updated_at = now() where member_id = ${moverId}`.execute(
            trx,
          );
          await steward.memberChanged(trx as never, moverId);
        });
        await memberIs(moverId, 'organization');
        return { storedMs: Math.round(performance.now() - started) };
      },
    },
    {
      name: 'at risk',
      title: 'The admin is demoted; the list of permissions shrinks, calls still work',
      moment: 'at_risk',
      async play() {
        zoom.control.setToggles({ demotion: 'shrinks_list' });
        zoom.control.demote({ accountId: 'acc_northwind', userId: zoomPeople.firstAdmin.id });
        await lookNow();
        const risk = await until('the risk to be noticed', async () => (await connection()).at_risk_reason);
        narrator.tell(`At risk: ${risk}. Everything goes on working, no clock runs.`);
        return { reason: risk };
      },
    },
    {
      name: 'interrupted',
      title: 'Now calls fail: looked at twice, eleven minutes apart',
      moment: 'interrupted',
      async play() {
        zoom.control.setToggles({ demotion: 'fails_calls' });
        await lookNow();
        await until('the first look', async () =>
          db
            .selectFrom('steward.org_connections')
            .select('id')
            .where('organization_id', '=', organizationId)
            .where('first_failed_at', 'is not', null)
            .executeTakeFirst(),
        );
        if ((await connection()).state !== 'active')
          throw new Error('One look was enough to interrupt, and must not be');
        await stage.advance(secondLookMs);
        await inState('interrupted');
        await followRun();
        const { interrupted_reason: reason } = await connection();
        narrator.tell(`Interrupted: ${reason}. ${n(await zoomLocations())} Zoom locations, none was touched.`);
        return { reason: reason ?? '' };
      },
    },
    {
      name: 'resumed',
      title: 'They are promoted again: resumed by itself at the next scheduled look',
      moment: 'resumed',
      async play() {
        zoom.control.promote({ accountId: 'acc_northwind', userId: zoomPeople.firstAdmin.id });
        await stage.advance(nextScheduledLookMs);
        await inState('active');
        await followRun();
        return { clicks: 0 };
      },
    },
    {
      name: 'reconnected',
      title: 'The admin leaves the company: the grant is dead; another admin reconnects',
      async play() {
        zoom.control.revokeGrants({ clientId: services.config.zoom.admin.clientId, accountId: 'acc_northwind' });
        await lookNow();
        await until('the grant to be suspected', async () =>
          db.selectFrom('steward.grants').select('id').where('state', '=', 'suspect').executeTakeFirst(),
        );
        await stage.advance(secondLookMs);
        await inState('interrupted');
        await followRun();
        narrator.tell(`Interrupted: ${(await connection()).interrupted_reason}.`);
        await reconnectAs(zoomPeople.secondAdmin);
        const counts = await followRun();
        await rememberSecrets();
        return counts;
      },
    },
    {
      name: 'meeting changed',
      title: 'The meeting from before is still ours to change',
      moment: 'reconnected',
      async play() {
        const before = zoom.ledger().length;
        await steward.meetings.update({ meetingRef, topic: 'Introduction, moved' });
        const changed = zoom
          .ledger()
          .slice(before)
          .some((call) => call.endpoint === 'meetings.update' && call.status === 204);
        if (changed) await name('meeting_changed', meetingRef);
        return { changedAtZoom: changed ? 1 : 0 };
      },
    },
    {
      name: 'preview',
      title: 'What would a disconnect do?',
      async play() {
        const preview = await steward.preview({ organizationId });
        previewed = preview.generation;
        await sql`insert into story.numbers values ('previewed_removals', ${preview.locationsRemoved.locations})`.execute(
          db,
        );
        narrator.tell(
          `${n(preview.membersLosingHosting)} members could host and cannot after, ${n(preview.membersKeepingPersonal)} keep their own Zoom; ` +
            `${n(preview.locationsRemoved.locations)} locations go, ${n(preview.eventTypesWithoutLocation.eventTypes)} event types would have none; ${n(preview.bookingsDetached)} booked meetings can no longer be changed.`,
        );
        return {
          locations: preview.locationsRemoved.locations,
          members: preview.membersLosingHosting,
          bookings: preview.bookingsDetached,
        };
      },
    },
    {
      name: 'disconnect',
      title: 'The organization disconnects: the cascade',
      moment: 'disconnected',
      async play() {
        // With the generation that the preview showed: had the connection moved since, this would be refused.
        await steward.disconnect({ by: owner, generation: previewed, organizationName: world.name });
        const counts = await followRun();
        await inState('none');
        await until(
          'the grant to be gone',
          async () =>
            (await db
              .selectFrom('steward.grants')
              .select('id')
              .where((eb) => eb.or([eb('sealed_access', 'is not', null), eb('sealed_refresh', 'is not', null)]))
              .executeTakeFirst()) === undefined,
        );
        narrator.tell(`${n(await zoomLocations())} Zoom locations are left: those that a personal Zoom serves.`);
        return counts;
      },
    },
    {
      name: 'restore',
      title: 'Connected again: the removed locations are offered, and taken',
      moment: 'restored',
      async play() {
        await reconnectAs(zoomPeople.secondAdmin);
        await followRun();
        const offered = await offeredCopies();
        narrator.tell(`${n(offered)} copies wait for a word; nothing returns unasked.`);
        await steward.restore({ by: owner });
        const counts = await followRun();
        await rememberSecrets();
        narrator.tell(`${n(await zoomLocations())} Zoom locations again, each with its id, place and details.`);
        return { offered, ...counts };
      },
    },
    {
      name: 'reconcile',
      title: 'reconcile --plan finds nothing',
      moment: 'end',
      async play() {
        const left = changesOf(await planWhole(db, organizationId, { adapter: 'rows' }));
        await sql`insert into story.numbers values ('plan_changes', ${left})`.execute(db);
        narrator.tell(left === 0 ? 'Nothing to do.' : `${n(left)} differences.`);
        return { changes: left };
      },
    },
  ];
}
