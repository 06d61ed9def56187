import { defineCommand } from '../define-command.ts';
import { describeLimits, describeWait, findZoomAccount, readDirectoryStatus } from '../reads/directory-status.ts';
import { counted, thousands } from '../text-table.ts';

/** `directory show ACCOUNT` */
export const directoryShow = defineCommand({
  name: 'show',
  args: [['<account>', 'Zoom account id, or id or name of an organization on it']],
  summary: 'how old the copy of the Zoom users is, at which pace it is walked, and for what that waits',
  examples: ['directory show Northwind', 'directory show x3fYk2 --json | jq .waits'],
  async action({ args, open, print }) {
    const { db } = await open();
    const zoomAccountId = await findZoomAccount(db, args[0] as string);
    const found = await readDirectoryStatus(db, zoomAccountId);
    print.answer({ zoomAccountId, directory: found }, () =>
      found === null
        ? `${zoomAccountId}: nobody has walked it.`
        : [
            print.bold(
              `${zoomAccountId}: ${counted(found.users, 'user')}, ${found.syncedAt ? `as of ${found.syncedAt.toISOString()}` : 'never walked whole'}`,
            ),
            '',
            `medium calls  ${describeLimits(found)}`,
            `today         ${thousands(found.callsToday)} by walks, since 00:00 UTC`,
            ...(found.walking ? [`walk          lists ${found.walking} users`] : []),
            ...(describeWait(found) ? [`walk          ${describeWait(found)}`] : []),
          ].join('\n'),
    );
    if (found) print.note(`A contract allows more or less: zoom-steward directory limits ${zoomAccountId} --medium N`);
  },
});
