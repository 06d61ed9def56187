import { Option } from 'commander';
import {
  changeEquivalence,
  type EquivalenceSummary,
  previewEquivalence,
} from '../connections/mapping/change-equivalence.ts';
import { addressFormsOf } from './address-forms-of.ts';
import { defineCommand } from './define-command.ts';
import { exitCodes } from './exit-codes.ts';
import { findOrganization } from './find-organization.ts';
import { assertPreviewOrApply, type PreviewOrApply, previewOrApply } from './preview-or-apply.ts';
import { askWhy, type WritingOptions, writingOptions } from './reason.ts';
import { counted, thousands } from './text-table.ts';
import { wholeNumber } from './whole-number.ts';

type Options = WritingOptions &
  PreviewOrApply & {
    readonly confirm?: string;
    readonly generation?: number;
  };

const examplesShown = 10;

function describe(summary: EquivalenceSummary, said: string): string {
  const more = summary.new + summary.moved + summary.ended - examplesShown;
  return [
    `${said}: ${summary.domain} and ${summary.sameAs}`,
    `${thousands(summary.new)} new, ${thousands(summary.moved)} moved, ${thousands(summary.ended)} ended; ${counted(summary.unmatched, 'member')} at these domains without a Zoom user`,
    ...summary.examples
      .slice(0, examplesShown)
      .map(({ memberId, was, zoomUserId }) => `${memberId}: ${was ?? 'nobody'} → ${zoomUserId ?? 'nobody'}`),
    ...(more > 0 ? [`… and ${thousands(more)} more; --json shows a hundred`] : []),
  ].join('\n');
}

type Words = {
  readonly name: string;
  readonly change: 'add' | 'remove';
  readonly summary: string;
  readonly details: string;
  readonly examples: readonly string[];
  /** where it was so already */
  readonly same: string;
  readonly undo: string;
};

/** `mappings equate` and `mappings separate`: first what it would do, then do it. */
export const equivalenceCommand = (words: Words) =>
  defineCommand<Options>({
    name: words.name,
    args: [
      ['<organization>', 'id or name'],
      ['<domain>', 'a domain of addresses'],
      ['<same-as>', 'the other one'],
    ],
    summary: words.summary,
    details: words.details,
    examples: words.examples,
    options: [
      ...previewOrApply('who would be matched, who would lose a match; changes nothing'),
      new Option('--confirm <name>', "the organization's name, where somebody loses a Zoom user"),
      new Option('--generation <number>', 'generation of the preview that was agreed to').argParser(
        wholeNumber(0, 1e9),
      ),
      ...writingOptions(),
    ],
    async action(context) {
      const { args, io, options, open, print } = context;
      const [name, domain, sameAs] = args as readonly [string, string, string];
      assertPreviewOrApply(options);
      const { db } = await open();
      const { id: organizationId } = await findOrganization(db, name);
      const request = { organizationId, change: words.change, domain, sameAs, forms: addressFormsOf(io) };
      if (options.preview) {
        const preview = await previewEquivalence(db, request);
        print.answer(preview, () => describe(preview, 'Would'));
        if (preview.needsConfirmation)
          print.note(`To do it: --apply --confirm "the organization's name" --generation ${preview.generation}`);
        return exitCodes.ok;
      }
      const asker = await askWhy(context);
      const generation =
        options.generation ?? (options.confirm === undefined ? 0 : (await previewEquivalence(db, request)).generation);
      const confirm = options.confirm === undefined ? {} : { confirm: { generation, typedName: options.confirm } };
      const done = await db.transaction().execute((trx) => changeEquivalence(trx, { ...request, asker, ...confirm }));
      print.answer(done, () => (done.changed ? describe(done, 'Done') : words.same));
      if (done.changed)
        print.note(`To undo: zoom-steward mappings ${words.undo} ${organizationId} ${done.domain} ${done.sameAs}`);
      return exitCodes.ok;
    },
  });
