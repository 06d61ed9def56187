import { readFile } from 'node:fs/promises';
import { importMappings, previewMappings } from '../../connections/mapping/import-mappings.ts';
import type { MappingSummary } from '../../connections/mapping/mapping-summary.ts';
import { StewardError } from '../../errors.ts';
import { addressFormsOf } from '../address-forms-of.ts';
import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { findOrganization } from '../find-organization.ts';
import { assertPreviewOrApply, type PreviewOrApply, previewOrApply } from '../preview-or-apply.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { counted, thousands } from '../text-table.ts';

type Options = WritingOptions & PreviewOrApply;

const linesShown = 20;

async function readText(path: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
  } catch (error) {
    const what = error instanceof TypeError ? 'it is no UTF-8' : (error as Error).message;
    throw new StewardError('file_unreadable', `Expected a CSV file in UTF-8 at ${path}, got: ${what}.`);
  }
}

const bad = ({ problems }: MappingSummary): number => Object.values(problems).reduce((sum, count) => sum + count, 0);

function describe(summary: MappingSummary, written: boolean): string {
  const { lines, ignoredColumns } = summary;
  const more = bad(summary) - linesShown;
  return [
    `${written ? 'Done' : 'Would'}: ${thousands(summary.new)} new, ${thousands(summary.moved)} moved, ${thousands(summary.ended)} ended; ${thousands(summary.unchanged)} as they are, ${counted(summary.blank, 'line')} without a Zoom user left alone`,
    ...(ignoredColumns.length > 0 ? [`Ignored columns: ${ignoredColumns.join(', ')}`] : []),
    ...Object.entries(summary.problems).map(([problem, count]) => `${thousands(count)} × ${problem}`),
    ...lines.slice(0, linesShown).map(({ line, problem }) => `line ${line}: ${problem}`),
    ...(more > 0 ? [`… and ${thousands(more)} more; --json shows a thousand`] : []),
  ].join('\n');
}

/** `mappings import ORG FILE (--preview | --apply)` */
export const mappingsImport = defineCommand<Options>({
  name: 'import',
  args: [
    ['<organization>', 'id or name'],
    ['<file>', 'CSV in UTF-8'],
  ],
  summary: 'mappings from a CSV file: first what it would do, then all of it or nothing',
  details: `The header names a column for the member – member_id, member_email or member – and one for the Zoom user –
zoom_user_id, zoom_user_email or zoom_user. Members who are not in the file keep theirs, and so does one whose Zoom user
is empty; "none" ends a mapping. If one line cannot be read or done, nothing is.`,
  examples: [
    'mappings import Northwind people.csv --preview',
    'mappings import Northwind people.csv --apply --reason "list of the customer, ticket 4711"',
  ],
  options: [...previewOrApply('count and name what cannot be done; changes nothing'), ...writingOptions()],
  exits: [
    '0  done, or nothing to do',
    '1  some lines cannot be done: nothing was',
    '2  unknown command, option or argument',
    '3  refused: reason missing',
  ],
  async action(context) {
    const { args, io, options, open, print } = context;
    const [name, path] = args as readonly [string, string];
    assertPreviewOrApply(options);
    const { db } = await open();
    const { id: organizationId } = await findOrganization(db, name);
    const request = { organizationId, input: { csv: await readText(path) }, forms: addressFormsOf(io) };
    if (options.preview) {
      const summary = await previewMappings(db, request);
      print.answer(summary, () => describe(summary, false));
      return bad(summary) > 0 ? exitCodes.error : exitCodes.ok;
    }
    const { written, summary } = await importMappings(db, { ...request, asker: await askWhy(context) });
    print.answer(summary, () => describe(summary, written));
    if (written) {
      print.note(
        `To undo: zoom-steward mappings import with "none" for who is new; zoom-steward mappings list ${organizationId}`,
      );
      return exitCodes.ok;
    }
    print.note('Nothing was changed.');
    return exitCodes.error;
  },
});
