import { Option } from 'commander';
import { parseKeyRing } from '../../config.ts';
import { StewardError } from '../../errors.ts';
import { abandonKey } from '../../grants/abandon-key.ts';
import { readKeyUse, rowsOf } from '../../grants/key-use.ts';
import { defineCommand } from '../define-command.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { counted } from '../text-table.ts';

type Options = WritingOptions & { readonly confirm?: string };

/** `keys abandon KEY` */
export const keysAbandon = defineCommand<Options>({
  name: 'abandon',
  args: [['<key>', 'id of the key that is lost']],
  summary: 'a key is lost for good: its grants are dead of our own doing, new consents are wanted',
  details: `Deletes what the key seals. Its grants are dead with the reason key_lost, named as ours; their connections are
interrupted by their next look, owners are told and have the usual time to consent again. Nothing is revoked at Zoom: a
new consent replaces the old one. Refused while the key is in STEWARD_KEYS: then nothing is lost, rotate instead.`,
  examples: ['keys abandon k1', 'keys abandon k1 --confirm k1 --reason "vault burnt, ticket 4711"'],
  options: [new Option('--confirm <key>', 'id of the key again: there is no way back'), ...writingOptions()],
  async action(context) {
    const { io, open, print, options, args, mayAsk } = context;
    const keyId = args[0] as string;
    const ring =
      io.env('STEWARD_KEYS') === undefined && io.env('STEWARD_KEYS_FILE') === undefined
        ? []
        : parseKeyRing(io.env).ring;
    if (ring.some(({ id }) => id === keyId))
      throw new StewardError(
        'key_not_lost',
        `Key "${keyId}" is in STEWARD_KEYS, so nothing is lost; use "zoom-steward keys rotate" to get rid of it.`,
      );
    const { db } = await open();
    const use = (await readKeyUse(db)).find((one) => one.keyId === keyId);
    if (!use || rowsOf(use) === 0) {
      print.answer({ keyId, dead: 0, deleted: 0, consents: 0 }, () => `Key ${keyId} seals nothing; nothing changed.`);
      return;
    }
    const { operator, reason } = await askWhy(context);
    const question = `${counted(use.grants, 'grant')} will be dead. Type ${keyId} to go on: `;
    if ((options.confirm ?? (mayAsk ? await io.ask(question) : '')).trim() !== keyId)
      throw new StewardError(
        'confirmation_missing',
        `Expected the key's id as confirmation, got something else; nothing was changed. Without a terminal add --confirm ${keyId}.`,
      );
    const given = await abandonKey(db, { keyId, actor: `operator:${operator}`, reason });
    print.answer(
      { keyId, ...given },
      () =>
        `Key ${keyId} is given up: ${counted(given.dead, 'grant')} dead (key_lost), secrets of ${given.deleted} others deleted, ${counted(given.consents, 'consent')} under way ended.`,
    );
    print.note('There is no way back. Owners are told by their connections; zoom-steward status counts them.');
  },
});
