import { type AddressForms, plainForms } from '../connections/address-forms.ts';
import type { CliIo } from './cli-io.ts';

/** How addresses are looked for in copies of directories. */
export function addressFormsOf(_io: CliIo): AddressForms {
  return plainForms;
}
