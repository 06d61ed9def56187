import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { Option } from 'commander';
import { parseKeyRing } from '../../config.ts';
import { type ImportSummary, importPersonal } from '../../connections/personal/import-personal.ts';
import { insertAudit } from '../../db/audit-repository.ts';
import { StewardError } from '../../errors.ts';
import { createVault } from '../../grants/vault.ts';
import { simulatorEndpoints, zoomEndpoints } from '../../zoom/endpoints.ts';
import type { ZoomEndpoints } from '../../zoom/oauth.ts';
import type { CliIo } from '../cli-io.ts';
import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { thousands } from '../text-table.ts';

type Options = WritingOptions & {
  readonly preview?: boolean;
  readonly apply?: boolean;
  readonly refresherStopped?: boolean;
};

const linesShown = 20;

async function* linesOf(path: string): AsyncIterable<string> {
  const input: Readable = path === '-' ? process.stdin : createReadStream(path, 'utf8');
  try {
    yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new StewardError('file_unreadable', `Expected a readable file at ${path}, got ${code}.`);
  }
}

/** Zoom's own, or the simulator's in its mode. */
const endpointsOf = ({ env }: CliIo): ZoomEndpoints => {
  const url = env('STEWARD_MODE') === 'simulator' ? env('ZOOM_BASE_URL') : undefined;
  return url === undefined ? zoomEndpoints : simulatorEndpoints(url);
};

const describe = (summary: ImportSummary, applied: boolean): string =>
  [
    `${applied ? 'Taken over' : 'Would take over'}: ${thousands(summary.taken)}; joined a grant that is held: ${thousands(summary.joined)}; done before: ${thousands(summary.doneBefore)}; left out: ${thousands(summary.refused)}`,
    ...Object.entries(summary.reasons).map(([reason, count]) => `${thousands(count)} × ${reason}`),
    ...summary.lines.slice(0, linesShown).map(({ line, problem }) => `line ${line}: ${problem}`),
  ].join('\n');

/** `import personal FILE (--preview | --apply --refresher-stopped)` */
export const importPersonalCommand = defineCommand<Options>({
  name: 'personal',
  args: [['<file>', 'one JSON object a line; - reads standard input']],
  summary: "take over members' own Zooms from the main app's store",
  details: `A line: {"memberId", "zoomAccountId", "zoomUserId", "refreshToken"} and, if known, "zoomUserEmail", "accessToken",
"accessExpiresAt", "scopes", "consentedAt" (times as ISO 8601). Ids are those of Zoom's GET /users/me. The tokens are of the
client id that is ZOOM_PERSONAL_CLIENT_ID here. A grant has one refresher: stop the main app's first, export, then --apply
with --refresher-stopped. Stopped half-way: run it again, what was taken over stays as it is. Nothing prints a token; delete
the file afterwards.`,
  examples: [
    'import personal tokens.ndjson --preview',
    'decrypt-export | zoom-steward import personal - --apply --refresher-stopped --reason "ticket 4711"',
  ],
  options: [
    new Option('--preview', 'count, and name the lines that would be left out; changes nothing').conflicts('apply'),
    new Option('--apply', 'do it'),
    new Option('--refresher-stopped', "yes, the main app's own refresher has stopped for good"),
    ...writingOptions(),
  ],
  exits: [
    '0  done, or nothing to do',
    '1  some lines were left out, or it was stopped; run it again',
    '2  unknown command, option or argument',
    '3  refused: reason or --refresher-stopped missing',
  ],
  async action(context) {
    const { args, io, options, open, print } = context;
    if (!options.preview && !options.apply)
      throw new StewardError('preview_or_apply', 'Expected --preview or --apply, got neither; begin with --preview.');
    const apply = options.apply ?? false;
    if (apply && !options.refresherStopped)
      throw new StewardError(
        'refresher_not_stopped',
        "Expected the main app's refresher to have stopped: two that rotate one token end it for both. Stop it, export anew, and add --refresher-stopped.",
      );
    const clientId = io.env('ZOOM_PERSONAL_CLIENT_ID');
    if (clientId === undefined || clientId === '')
      throw new StewardError('personal_not_configured', 'Expected ZOOM_PERSONAL_CLIENT_ID, got nothing; set it first.');
    const { ring, activeId } = parseKeyRing(io.env);
    const vault = createVault({ keys: ring, activeKeyId: activeId });
    const who = apply ? await askWhy(context) : null;
    const { db } = await open();
    const actor = `operator:${who?.operator ?? 'preview'}` as const;
    const done = await importPersonal(db, linesOf(args[0] as string), {
      ...{ clientId, vault, api: endpointsOf(io), actor, apply, signal: io.signal },
    });
    if (who) {
      const { lines: _, ...data } = done;
      await db
        .transaction()
        .execute((trx) =>
          insertAudit(trx, { organizationId: null, actor, action: 'personal.imported', reason: who.reason, data }),
        );
    }
    print.answer({ applied: apply, ...done }, () => describe(done, apply));
    if (apply) print.note('Delete the file. To undo one: the member disconnects in the product, or consents again.');
    else
      print.note('Nothing was changed. Stop the main app’s refresher, export anew, then --apply --refresher-stopped.');
    return done.refused > 0 || done.stopped ? exitCodes.error : exitCodes.ok;
  },
});
