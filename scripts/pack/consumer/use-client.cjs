// What a main app does with the client, in plain JavaScript for the oldest Node. Prints what came as one line of JSON.
const { Pool } = require(process.env.PG_PACKAGE);

/** @param client the client's package, however it was loaded */
exports.use = async (client) => {
  const { DATABASE, SERVER, SERVICE_KEY, CLAIM_SECRET, ORGANIZATION, OWNER, MEMBER } = process.env;
  const pool = new Pool({ connectionString: DATABASE, max: 2 });
  const steward = client.createSteward({ db: pool, url: SERVER, serviceKey: SERVICE_KEY, claimSecret: CLAIM_SECRET });
  const transaction = await pool.connect();
  await transaction.query('begin');
  await steward.memberChanged(transaction, MEMBER);
  await transaction.query('commit');
  transaction.release();
  const link = await steward.requestConnectLink({ by: { organizationId: ORGANIZATION, memberId: OWNER } });
  const refusal = await steward
    .requestConnectLink({ by: { organizationId: ORGANIZATION, memberId: MEMBER } })
    .catch((error) => error);
  const zoom = await steward.resolve(MEMBER);
  const booking = { organizationId: ORGANIZATION, memberId: MEMBER, topic: 'Hello', durationMinutes: 30 };
  const request = {
    ...booking,
    startsAt: '2030-01-02T10:00:00+01:00',
    idempotencyKey: process.versions.node + process.argv[1],
  };
  const meeting = await steward.meetings.create(request);
  const again = await steward.meetings.create(request);
  await steward.meetings.update({ meetingRef: meeting.meetingRef, topic: 'Moved' });
  await steward.meetings.delete({ meetingRef: meeting.meetingRef });
  const gone = await steward.meetings.update({ meetingRef: meeting.meetingRef, topic: 'Late' }).catch((error) => error);
  const raw = await steward.withZoom({ organizationId: ORGANIZATION, memberId: MEMBER }, async (it) => {
    return (await it.fetch('/users/me')).status;
  });
  await pool.end();
  const { status, code } = refusal;
  const said = { node: process.versions.node, effective: zoom.effective, link: new URL(link.url).origin };
  const isRefusal = refusal instanceof client.StewardRequestError;
  const meetings = {
    same: meeting.meetingRef === again.meetingRef,
    gone: gone instanceof client.MeetingRefusedError && gone instanceof client.StewardRequestError && gone.code,
    toHost: gone.refusal.toHost === client.meetingRefusals.unknown_meeting.toHost,
    raw,
  };
  process.stdout.write(`${JSON.stringify({ ...said, meetings, refusal: { isRefusal, status, code } })}\n`);
};
