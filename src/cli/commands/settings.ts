import { Option } from 'commander';
import {
  assumedBy,
  changeSettings,
  mergeSettings,
  type OrganizationSettings,
  onlyWidens,
  readSettings,
} from '../../connections/settings.ts';
import { previewUnder } from '../../reconciliation/preview-disconnect.ts';
import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { findOrganization } from '../find-organization.ts';
import { locationAdapter } from '../location-adapter.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { parseSetting, settingNames, textOfSetting } from '../setting-words.ts';
import { counted, textTable } from '../text-table.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = WritingOptions & {
  readonly set: readonly Partial<OrganizationSettings>[];
  readonly preview?: boolean;
  readonly confirm?: string;
  readonly generation?: number;
};

const show = (settings: OrganizationSettings): string =>
  textTable(
    ['setting', 'value'],
    settingNames.map((name) => [name, textOfSetting(settings, name)]),
  );

/** `settings ORG [--set NAME=VALUE…]` */
export const settings = defineCommand<Options>({
  name: 'settings',
  args: [['<organization>', 'id or name']],
  summary: 'show or change the settings of an organization',
  details: `Without --set it shows them. What may take Zoom from somebody needs --confirm with the organization's name, after --preview.
Names and values: ${settingNames.join(', ')}. Lists are separated by commas; on and off; none and never take a setting back.`,
  examples: [
    'settings Northwind',
    'settings Northwind --set reconnect-days=30 --reason "they asked for more time"',
    'settings Northwind --set rollout=domains --set rollout-domains=northwind.example --preview',
  ],
  options: [
    new Option('--set <name=value>', 'a setting; several times for several')
      .argParser((text: string, before: readonly Partial<OrganizationSettings>[]) => [...before, parseSetting(text)])
      .default([], 'none'),
    new Option('--preview', 'show what it would take from whom; changes nothing'),
    new Option('--confirm <name>', "the organization's name, where something may be taken"),
    new Option('--generation <number>', 'generation of the preview that was agreed to').argParser(wholeNumber(0, 1e9)),
    ...writingOptions(),
  ],
  async action(context) {
    const { args, options, print, open, io } = context;
    const { db } = await open();
    const organization = await findOrganization(db, args[0] as string);
    if (options.set.length === 0) {
      const now = await readSettings(db, organization.id);
      print.answer({ organization, settings: now }, () => show(now));
      return exitCodes.ok;
    }
    const changes = Object.assign({}, ...options.set) as Partial<OrganizationSettings>;
    const { before, after } = await mergeSettings(db, organization.id, changes);
    const preview = await previewUnder(
      db,
      { organizationId: organization.id, adapter: locationAdapter(io.env) },
      await assumedBy(db, organization.id, after),
    );
    const takes = !onlyWidens(before, after);
    if (options.preview) {
      print.answer({ organization, settings: after, needsConfirmation: takes, preview }, () =>
        [
          show(after),
          '',
          `${counted(preview.membersLosingHosting, 'member')} who can host now could not, ${counted(preview.locationsRemoved.locations, 'location')} would be removed.`,
        ].join('\n'),
      );
      return exitCodes.ok;
    }
    const asker = await askWhy(context);
    const confirm =
      options.confirm === undefined
        ? {}
        : { confirm: { generation: options.generation ?? preview.generation, typedName: options.confirm } };
    const done = await db
      .transaction()
      .execute((trx) => changeSettings(trx, { organizationId: organization.id, changes, asker, ...confirm }));
    print.answer({ organization, ...done }, () =>
      done.changed.length === 0 ? 'Nothing was otherwise; nothing was changed.' : show(done.settings),
    );
    if (done.runId) print.note(`Follow it: zoom-steward runs watch ${done.runId}`);
    if (done.changed.includes('zoomForNewEventTypes') && done.settings.zoomForNewEventTypes)
      print.note(`Event types that are there already: zoom-steward one-time-run ${organization.id} --preview`);
    return exitCodes.ok;
  },
});
