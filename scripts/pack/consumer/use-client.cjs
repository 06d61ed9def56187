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
  await pool.end();
  const { status, code } = refusal;
  const said = { node: process.versions.node, effective: zoom.effective, link: new URL(link.url).origin };
  const isRefusal = refusal instanceof client.StewardRequestError;
  process.stdout.write(`${JSON.stringify({ ...said, refusal: { isRefusal, status, code } })}\n`);
};
