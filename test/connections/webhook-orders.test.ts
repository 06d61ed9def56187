import fc from 'fast-check';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { receiveWebhook } from '../../src/connections/hint-webhook.ts';
import { syncDirectory } from '../../src/connections/sync-directory.ts';
import { readWebhook, webhookId } from '../../src/zoom/webhook-notice.ts';
import { useDatabase } from '../support/database.ts';
import { connectActive } from './connecting.ts';
import { advanceClock, insertOrganization } from './organization.ts';
import { createOwedRunner } from './run-owed.ts';
import { playConnections, scriptedVault } from './scripted-zoom.ts';

const database = useDatabase();
const people = 4;

type Change = { readonly who: number; readonly what: 'off' | 'on' | 'basic' | 'licensed' | 'gone' | 'back' | 'moved' };
/** A change at Zoom; a webhook about one that happened, by its place among them; or time for our jobs. */
type Step = { readonly change: Change } | { readonly tell: number } | { readonly jobs: true };

const changeAmong = (...whats: readonly Change['what'][]): fc.Arbitrary<Change> =>
  fc.record({ who: fc.nat({ max: people - 1 }), what: fc.constantFrom(...whats) });
const still = ['off', 'on', 'basic', 'licensed', 'gone', 'back'] as const;
/** Half of the histories leave addresses where they are: in those it is known who must host. */
const kindsOfChange = fc.constantFrom(changeAmong(...still), changeAmong(...still, 'moved', 'moved'));
const stepWith = (change: fc.Arbitrary<Change>): fc.Arbitrary<Step> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ change }) },
    { weight: 4, arbitrary: fc.record({ tell: fc.nat() }) },
    { weight: 2, arbitrary: fc.constant({ jobs: true } as const) },
  );

const eventOf: Record<Change['what'], string> = {
  off: 'user.deactivated',
  on: 'user.activated',
  basic: 'user.updated',
  licensed: 'user.updated',
  moved: 'user.updated',
  gone: 'user.deleted',
  back: 'user.created',
};

async function world() {
  const { db } = database;
  await sql`delete from steward.outbox`.execute(db);
  const play = playConnections(db);
  const organization = await insertOrganization(db, { users: people });
  const account = `acc-${organization.id}`;
  await connectActive(play, organization, account);
  const run = createOwedRunner(play.deps);
  await run();
  const { zoom } = play.scripted;
  const of = (n: number) => `${account}-u${n}`;
  const email = (n: number) => organization.people[n]!.email;
  const at = (n: number) => zoom.users.find(({ id }) => id === of(n));
  const make = ({ who, what }: Change): void => {
    const user = at(who);
    if (what === 'back' && !user) zoom.users.push({ id: of(who), email: email(who), account });
    if (!user) return;
    if (what === 'off' || what === 'on') user.status = what === 'on' ? 'active' : 'inactive';
    if (what === 'basic' || what === 'licensed') user.type = what === 'basic' ? 1 : 2;
    if (what === 'moved') user.email = user.email === email(who) ? email((who + 1) % people) : email(who);
    if (what === 'gone') zoom.users.splice(zoom.users.indexOf(user), 1);
  };
  const webhook = ({ who, what }: Change, place: number): Buffer =>
    Buffer.from(
      // Times that go backwards: they must order nothing.
      JSON.stringify({
        event: eventOf[what],
        event_ts: 1_000 - place,
        payload: { account_id: account, object: { id: of(who) } },
      }),
    );
  const tell = (body: Buffer) => {
    const notice = readWebhook(body);
    if (!notice || notice.kind === 'validation') throw new Error('not a webhook');
    const id = webhookId('admin_app', body);
    return receiveWebhook(db, { id, clientId: 'admin_app', clientKind: 'admin', notice });
  };
  /** What a schedule would do within a day: walks – the first does not believe that many left – and the full pass. */
  const scheduled = async () => {
    for (const wait of ['7 hours', '2 hours']) {
      await advanceClock(db, wait);
      await syncDirectory(play.deps, account, { paceMs: 0, sliceMs: 60_000 });
    }
    await sql`insert into steward.outbox (job, key, payload, created_at, available_at)
              values ('reconcile-organization', ${organization.id}, ${JSON.stringify({ organizationId: organization.id })}::jsonb, steward.now(), steward.now())`.execute(
      db,
    );
    await run();
  };
  /** What must be in the end, from Zoom alone. Whose match holds after addresses moved depends on what was seen: not here. */
  const ours = new Set([organization.owner, organization.admin, ...organization.people].map((person) => person.email));
  const expected = () => {
    const users = [...zoom.users].sort((one, other) => (one.id < other.id ? -1 : 1));
    const name = (address: string) =>
      (ours.has(address) ? address.split('@')[0] : scriptedVault.pseudonyms(address)[0]) as string;
    const shared = (address: string) => users.filter((one) => one.email === address).length > 1;
    return {
      directory: users.map((one) => [
        one.id.replace(account, ''),
        name(one.email),
        one.status ?? 'active',
        one.type ?? 2,
        shared(one.email),
      ]),
      hosting: Object.fromEntries(
        organization.people.map((person, n) => {
          const user = at(n);
          return [
            name(person.email),
            !user ? 'no_zoom_user' : user.status === 'inactive' ? 'zoom_user_inactive' : 'can_host',
          ];
        }),
      ),
    };
  };
  const state = async () => {
    const { rows } = await sql<{
      state: { directory: unknown[]; hosting: Record<string, string>; connection: unknown };
    }>`
      select jsonb_build_object(
        'directory', (select coalesce(jsonb_agg(jsonb_build_array(replace(user_key, ${account}, ''), split_part(address_key, '@', 1), status, user_type, duplicate)
                               order by user_key collate "C"), '[]') from steward.directory_users where zoom_account_id = ${account}),
        'hosting', (select jsonb_object_agg(split_part(m.email, '@', 1), s.hosting) from steward_app.members m
                      join steward.member_connections s on s.member_id = m.id
                     where m.organization_id = ${organization.id} and m.role = 'user'),
        'connection', (select jsonb_build_array(state, generation, at_risk_reason) from steward.org_connections where organization_id = ${organization.id})) as state`.execute(
      db,
    );
    return rows[0]!.state;
  };
  return { db, run, make, webhook, tell, scheduled, state, expected };
}

type World = Awaited<ReturnType<typeof world>>;

async function expectEnd(world: World, changes: readonly Change[]): Promise<void> {
  const { directory, hosting, connection } = await world.state();
  const expected = world.expected();
  expect(directory).toEqual(expected.directory);
  expect(connection).toEqual(['active', 2, null]);
  if (changes.every(({ what }) => what !== 'moved')) {
    expect(hosting).toEqual(expected.hosting);
    return;
  }
  await world.scheduled();
  expect(await world.state()).toEqual({ directory, hosting, connection });
}

test('whichever webhooks come, twice, late, in any order or never: after the scheduled pass the state is what Zoom says', async () => {
  await fc.assert(
    fc.asyncProperty(
      kindsOfChange.chain((change) => fc.array(stepWith(change), { minLength: 8, maxLength: 24 })),
      async (steps) => {
        const changes = steps.flatMap((one) => ('change' in one ? [one.change] : []));
        const told = await world();
        const made: Buffer[] = [];
        for (const one of steps) {
          if ('change' in one) {
            told.make(one.change);
            made.push(told.webhook(one.change, made.length));
          } else if ('tell' in one) {
            if (made.length > 0) await told.tell(made[one.tell % made.length]!);
          } else {
            await advanceClock(told.db, '30 seconds');
            await told.run();
          }
        }
        await told.scheduled();
        await expectEnd(told, changes);
      },
    ),
    { numRuns: 6 },
  );
});

test('if each comes at least once, in any order, no pass is needed', async () => {
  await fc.assert(
    fc.asyncProperty(
      kindsOfChange
        .chain((change) => fc.array(change, { minLength: 3, maxLength: 8 }))
        .chain((changes) => {
          const places = changes.map((_, place) => place);
          const copies = fc.shuffledSubarray([...places, ...places], { minLength: 0 });
          return fc.record({
            changes: fc.constant(changes),
            order: copies.map((extra) => [...extra, ...places.reverse()]),
          });
        }),
      async ({ changes, order }) => {
        const told = await world();
        for (const one of changes) told.make(one);
        for (const place of order) {
          await told.tell(told.webhook(changes[place]!, place));
          if (place % 2 === 0) await told.run();
        }
        await advanceClock(told.db, '2 minutes');
        await told.run();
        await expectEnd(told, changes);
      },
    ),
    { numRuns: 4 },
  );
});
