import { sql } from 'kysely';
import { advanceCandidate } from '../../src/connections/advance-candidate.ts';
import type { Advanced } from '../../src/connections/advanced.ts';
import { type BeginResult, beginAttempt } from '../../src/connections/attempts.ts';
import type { ConnectionDeps } from '../../src/connections/connection-deps.ts';
import { type FinishResult, finishAttempt } from '../../src/connections/finish-attempt.ts';
import { type ConnectLink, createConnectLink } from '../../src/connections/links.ts';
import { syncDirectory } from '../../src/connections/sync-directory.ts';
import type { Database } from '../../src/db/database.ts';
import type { TestOrganization } from './organization.ts';
import type { Scripted, ScriptedUser } from './scripted-zoom.ts';

type Begun = Extract<BeginResult, { kind: 'begun' }>;

/** The button, pressed by whoever has the link. */
export async function begin(
  deps: ConnectionDeps,
  link: ConnectLink,
  sessionMemberId: string | null = null,
): Promise<Begun> {
  const begun = await beginAttempt(deps, { token: link.token, sessionMemberId });
  if (begun.kind !== 'begun') throw new Error(`beginAttempt: expected begun, got ${begun.why}`);
  return begun;
}

/** A link by the owner, taken through consent: what the callback came to. */
export async function consent(
  { deps, scripted }: { deps: ConnectionDeps; scripted: Scripted },
  organization: TestOrganization,
  user: ScriptedUser,
  { sessionMemberId = null, link }: { sessionMemberId?: string | null; link?: ConnectLink } = {},
): Promise<{ link: ConnectLink; finished: FinishResult; candidateId: string }> {
  const used =
    link ??
    (await createConnectLink(deps.db, { organizationId: organization.id, asker: { memberId: organization.owner.id } }));
  const begun = await begin(deps, used, sessionMemberId);
  const finished = await finishAttempt(deps, {
    params: scripted.zoom.approve(user, begun.authorizeUrl),
    browser: begun.browser,
  });
  return { link: used, finished, candidateId: finished.kind === 'exchanged' ? finished.candidateId : '' };
}

/** Takes a candidate on, walking the directory where it waits for that. */
export async function advance(deps: ConnectionDeps, candidateId: string): Promise<Advanced> {
  const advanced = await advanceCandidate(deps, candidateId);
  if (advanced.state !== 'waiting' || advanced.on !== 'directory') return advanced;
  const { rows } = await sql<{ account: string }>`
    select g.zoom_account_id as account from steward.candidates k join steward.grants g on g.id = k.grant_id
     where k.id = ${candidateId}`.execute(deps.db);
  await syncDirectory(deps, rows[0]!.account, { sliceMs: 10_000, paceMs: 0 });
  return advanceCandidate(deps, candidateId);
}

/** A Zoom account that holds these addresses as licensed users, and the admin who approves. */
export function accountWith(
  scripted: Scripted,
  account: string,
  emails: readonly string[],
  adminEmail: string,
): ScriptedUser {
  const admin = { id: `${account}-admin`, email: adminEmail, account };
  scripted.zoom.users.push(admin, ...emails.map((email, n) => ({ id: `${account}-u${n}`, email, account })));
  return admin;
}

/** An organization whose connection became active by the rule. */
export async function connectActive(
  play: { deps: ConnectionDeps; scripted: Scripted },
  organization: TestOrganization,
  account: string,
  admin = accountWith(
    play.scripted,
    account,
    organization.people.map((person) => person.email),
    `it@${organization.domain}`,
  ),
): Promise<{ admin: ScriptedUser; candidateId: string; connectionId: string; link: ConnectLink }> {
  const { candidateId, link, finished } = await consent(play, organization, admin);
  const advanced = await advance(play.deps, candidateId);
  if (advanced.state !== 'active')
    throw new Error(`expected active, got ${JSON.stringify(advanced)} after ${JSON.stringify(finished)}`);
  return { admin, candidateId, connectionId: link.connectionId, link };
}

/** Names and payloads of the jobs that are owed. */
export async function owed(db: Database): Promise<{ job: string; payload: Record<string, unknown> }[]> {
  return db.selectFrom('steward.outbox').select(['job', 'payload']).orderBy('id').execute();
}
