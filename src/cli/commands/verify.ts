import { setTimeout as pause } from 'node:timers/promises';
import { Option } from 'commander';
import { type RequestedLook, requestVerification } from '../../connections/request-verification.ts';
import type { Database } from '../../db/database.ts';
import { StewardError } from '../../errors.ts';
import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { findOrganization } from '../find-organization.ts';
import { readOrganizationStatus } from '../reads/organization-status.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { describeOrganization } from '../texts/organization-text.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = WritingOptions & { readonly wait: number };

const lookMs = 200;

/** Every look plans the next one: when that has moved, this one is over. */
async function waitForLook(db: Database, asked: RequestedLook, waitS: number, signal: AbortSignal): Promise<boolean> {
  const until = performance.now() + waitS * 1_000;
  while (performance.now() < until) {
    const row = await db
      .selectFrom('steward.org_connections')
      .select('verify_due_at')
      .where('id', '=', asked.connectionId)
      .executeTakeFirst();
    if (row?.verify_due_at?.getTime() !== asked.dueBefore?.getTime()) return true;
    await pause(lookMs, undefined, { signal });
  }
  return false;
}

/** `verify ORG` */
export const verify = defineCommand<Options>({
  name: 'verify',
  args: [['<organization>', 'id or name']],
  summary: 'look at Zoom now whether the one who connected still may what we need',
  details:
    'Asks the worker for a look at Zoom, waits for it and shows what follows. At most once a minute for an organization.',
  examples: [
    'verify Northwind --reason "they say the admin changed"',
    'verify Northwind --reason "ticket 4711" --json',
  ],
  options: [
    ...writingOptions(),
    new Option('--wait <seconds>', 'how long to wait for the worker').argParser(wholeNumber(0, 600)).default(30),
  ],
  async action(context) {
    const { args, options, print, open, io } = context;
    const { db } = await open();
    const organization = await findOrganization(db, args[0] as string);
    const asker = await askWhy(context);
    const asked = await db
      .transaction()
      .execute((trx) => requestVerification(trx, { organizationId: organization.id, asker }));
    const over = await waitForLook(db, asked, options.wait, io.signal);
    if (!over && options.wait > 0)
      throw new StewardError(
        'no_worker',
        `The look is owed, and no worker has taken it within ${options.wait} s: is one running (zoom-steward worker, or dev), and nothing paused (zoom-steward status)?`,
      );
    const found = await readOrganizationStatus(db, organization.id);
    print.answer({ organization, looked: over, ...found }, () => describeOrganization(organization, found, print));
    return found.state === 'active' || !over ? exitCodes.ok : exitCodes.error;
  },
  exits: [
    '0  verified, or asked for with --wait 0',
    '1  interrupted, or no worker took it',
    '2  usage',
    '3  refused: no reason, or verified within the last minute',
  ],
});
