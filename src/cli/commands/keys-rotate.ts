import { parseKeyRing } from '../../config.ts';
import { insertAudit } from '../../db/audit-repository.ts';
import { rotateKeys } from '../../grants/rotate-keys.ts';
import { createVault } from '../../grants/vault.ts';
import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { counted, thousands } from '../text-table.ts';

/** `keys rotate` */
export const keysRotate = defineCommand<WritingOptions>({
  name: 'rotate',
  summary: 'seal with the active key what older keys seal, while everybody works',
  details: `Opens what older keys of STEWARD_KEYS seal and seals it with the active one, some hundred rows a transaction. Tokens and
versions stay as they are, nobody waits. Interrupted: run it again, it goes on where it was. Every worker and server must
know the active key before. Rows that are left – of a key that is missing, or exchanged at that moment – are counted; it
fails while there are any.`,
  examples: ['keys rotate --reason "yearly"', 'keys rotate --json --reason "ticket 4711"'],
  options: writingOptions(),
  async action(context) {
    const { io, open, print } = context;
    const { ring, activeId, clientId } = parseKeyRing(io.env);
    const vault = createVault({ keys: ring, activeKeyId: activeId });
    const { operator, reason } = await askWhy(context);
    const { db } = await open();
    const rotation = await rotateKeys(db, vault, {
      clientId,
      signal: io.signal,
      onProgress: ({ resealed, left }) => print.progress(`${thousands(resealed)} sealed anew, ${thousands(left)} left`),
    });
    print.endProgress();
    await db.transaction().execute((trx) =>
      insertAudit(trx, {
        organizationId: null,
        actor: `operator:${operator}`,
        action: 'keys.rotated',
        reason,
        data: { keyId: activeId, ...rotation },
      }),
    );
    print.answer(
      { active: activeId, ...rotation },
      () => `Sealed anew with ${activeId}: ${counted(rotation.resealed, 'row')}; ${thousands(rotation.left)} left.`,
    );
    if (rotation.left === 0)
      print.note('The other keys may be taken from STEWARD_KEYS. To undo: make one active, rotate again.');
    else print.note('What is left: zoom-steward keys status. Run it again.');
    return rotation.left === 0 ? exitCodes.ok : exitCodes.error;
  },
});
