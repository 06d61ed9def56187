import { Option } from 'commander';
import { StewardError } from '../../errors.ts';
import { recordRewound } from '../../grants/rewound.ts';
import { defineCommand } from '../define-command.ts';
import { pointInTime } from '../point-in-time.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { counted } from '../text-table.ts';

type Options = WritingOptions & { readonly to: Date };

/** `vault rewound --to TIME` */
export const vaultRewound = defineCommand<Options>({
  name: 'rewound',
  summary: 'say that the database was put back to TIME: refused pairs of before are named restored, ours',
  details: `After a restore or a failover that lost commits: a pair that was exchanged since TIME is spent at Zoom, and the database
does not know. Pairs that Zoom still takes live on; those that it refuses are named restored, never revoked, also if that
happened before this was said. "pause declaring" first, so that nobody loses Zoom before owners were asked to consent again.`,
  examples: [
    'vault rewound --to 2026-03-01T09:00:00Z --reason "restored, ticket 4711"',
    'vault rewound --to 2h --reason "failover"',
  ],
  options: [
    new Option('--to <time>', 'the time of the newest commit that is left: an instant, or a span before now')
      .argParser(pointInTime)
      .makeOptionMandatory(),
    ...writingOptions(),
  ],
  async action(context) {
    const { open, print, options } = context;
    const { to } = options;
    if (to.getTime() > Date.now())
      throw new StewardError('time_ahead', `Expected a time that has passed, got ${to.toISOString()}.`);
    const { operator, reason } = await askWhy(context);
    const { db } = await open();
    const counts = await db
      .transaction()
      .execute((trx) => recordRewound(trx, { to, actor: `operator:${operator}`, reason }));
    print.answer(
      { to: to.toISOString(), ...counts },
      () =>
        `${counted(counts.affected, 'grant')} of before ${to.toISOString()}: what Zoom refuses of them is named restored; ${counts.renamed} renamed.`,
    );
    print.note('Said with a wrong time: say it again with the right one.');
  },
});
