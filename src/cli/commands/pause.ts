import { insertAudit } from '../../db/audit-repository.ts';
import { upsertSwitch } from '../../db/switch-repository.ts';
import { defineCommand } from '../define-command.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { switchOf, whatChoices } from '../switch-words.ts';

/** `pause all | writes | zoom | declaring | observe` */
export const pause = defineCommand<WritingOptions>({
  name: 'pause',
  args: [['<what>', `what to stop: ${whatChoices}`]],
  summary: 'stop what the worker does, in the database, effective within 5 s',
  details: `Stops what the worker does, everywhere, within 5 s. Meetings through connections go on.

  all        no job is started
  writes     runs wait; nothing is written to members or locations
  zoom       nothing is asked of Zoom
  declaring  no connection is declared interrupted or disconnected by machine
  observe    plans are computed and shown, nothing is written, no clock runs out`,
  examples: [
    'pause writes --reason "locations look wrong since the last import"',
    'resume writes --reason "import mended"',
  ],
  options: writingOptions(),
  async action(context) {
    const { print, args, open } = context;
    const name = switchOf(args[0]);
    const { operator, reason } = await askWhy(context);
    const actor = `operator:${operator}` as const;
    const { db } = await open();
    const fresh = await db.transaction().execute(async (trx) => {
      const was = await upsertSwitch(trx, { name, reason, actor });
      await insertAudit(trx, { organizationId: null, actor, action: `switch.${name}.on`, reason });
      return was;
    });
    print.answer(
      { switch: name, on: true, changed: fresh, reason },
      () => `${args[0]}: paused${fresh ? '' : ' already; the reason is the new one'}.`,
    );
    print.note(`To undo: zoom-steward resume ${args[0]} --reason "…"`);
  },
});
