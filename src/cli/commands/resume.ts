import { releaseFleetGuard } from '../../connections/fleet-guard.ts';
import { insertAudit } from '../../db/audit-repository.ts';
import { deleteSwitches } from '../../db/switch-repository.ts';
import { defineCommand } from '../define-command.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { switchOf, whatChoices } from '../switch-words.ts';

/** `resume` what was paused */
export const resume = defineCommand<WritingOptions>({
  name: 'resume',
  args: [['<what>', `what goes on: ${whatChoices}`]],
  summary: 'let what was paused go on',
  details: `Lets what was paused go on, within 5 s. "zoom-steward status" shows what is paused, since when and why. Where the fleet
guard paused declaring, "resume declaring" releases it: for an hour it holds nothing, and what really failed is declared.`,
  examples: ['resume writes --reason "import mended"'],
  options: writingOptions(),
  async action(context) {
    const { print, args, open } = context;
    const name = switchOf(args[0]);
    const { operator, reason } = await askWhy(context);
    const actor = `operator:${operator}` as const;
    const { db } = await open();
    const gone = await db.transaction().execute(async (trx) => {
      const guard = await trx
        .selectFrom('steward.switches')
        .select('name')
        .where('name', '=', name)
        .where('name', '=', 'pause_declaring')
        // The fleet guard's own: only turned off, it would close again at the next look.
        .where('actor', '=', 'schedule')
        .forUpdate()
        .executeTakeFirst();
      if (guard) await releaseFleetGuard(trx, { actor, reason });
      const off = guard ? [guard.name] : await deleteSwitches(trx, [name]);
      for (const one of off)
        await insertAudit(trx, { organizationId: null, actor, action: `switch.${one}.off`, reason });
      return off;
    });
    print.answer({ switch: name, on: false, changed: gone.length > 0 }, () =>
      gone.length > 0 ? `${args[0]}: goes on.` : `${args[0]}: was not paused; nothing changed.`,
    );
    if (gone.length > 0) print.note(`To undo: zoom-steward pause ${args[0]} --reason "…"`);
  },
});
