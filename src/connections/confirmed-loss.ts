import type { Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { assertTypedName } from './authority.ts';

/** What somebody who saw a preview sends back: its generation, and the organization's name typed. */
export type Confirmation = { readonly generation: number; readonly typedName: string };

/** Refuses a change that may take Zoom from somebody, unless it was confirmed by who saw its preview (behaviour §5). */
export async function assertConfirmed(
  trx: Transaction<DB>,
  {
    organizationId,
    generation,
    confirm,
  }: {
    readonly organizationId: string;
    /** of the connection, as locked */
    readonly generation: number;
    readonly confirm: Confirmation | undefined;
  },
): Promise<void> {
  if (!confirm)
    throw new StewardError(
      'confirmation_missing',
      "This may take Zoom from somebody: expected the generation of its preview and the organization's name typed; look at the preview first.",
      { context: { organizationId, generation } },
    );
  await assertTypedName(trx, organizationId, confirm.typedName);
  if (confirm.generation !== generation)
    throw new StewardError(
      'stale_preview',
      `The preview is of generation ${confirm.generation}, the connection is at ${generation}; look at a new preview and confirm that.`,
      { context: { organizationId, generation } },
    );
}
