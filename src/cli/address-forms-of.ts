import { parseKeyRing } from '../config.ts';
import { type AddressForms, addressForms } from '../connections/address-forms.ts';
import { createVault } from '../grants/vault.ts';
import type { CliIo } from './cli-io.ts';

/**
 * How addresses of Zoom users are looked for. Of those who match nobody there is only a keyed hash, so a command that has
 * no STEWARD_KEYS finds them by Zoom user id alone.
 */
export function addressFormsOf(io: CliIo): AddressForms {
  if (io.env('STEWARD_KEYS') === undefined && io.env('STEWARD_KEYS_FILE') === undefined) return addressForms(null);
  const { ring, activeId } = parseKeyRing(io.env);
  return addressForms(createVault({ keys: ring, activeKeyId: activeId }));
}
