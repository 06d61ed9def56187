import { Option } from 'commander';
import { StewardError } from '../errors.ts';

export type PreviewOrApply = { readonly preview?: boolean; readonly apply?: boolean };

/** Options of a command that first shows what it would do; `whether` says what a preview tells. */
export const previewOrApply = (whether: string): Option[] => [
  new Option('--preview', whether).conflicts('apply'),
  new Option('--apply', 'do it'),
];

/** Refuses a command that says neither. */
export function assertPreviewOrApply({ preview, apply }: PreviewOrApply): void {
  if (!preview && !apply)
    throw new StewardError('confirmation_missing', 'Expected --preview or --apply, got neither; nothing was changed.');
}
