import type { SwitchRowName } from '../db/switch-repository.ts';
import { StewardError } from '../errors.ts';

const words: Readonly<Record<string, SwitchRowName>> = {
  all: 'pause_all',
  writes: 'pause_writes',
  zoom: 'pause_zoom',
  declaring: 'pause_declaring',
  observe: 'observe_only',
};

/** For help: the words a person types. */
export const whatChoices = Object.keys(words).join(', ');

/** The switch that a word names. */
export function switchOf(word: string | undefined): SwitchRowName {
  const name = words[word ?? ''];
  if (name) return name;
  throw new StewardError('usage', `Expected one of ${whatChoices}, got "${word}"; see zoom-steward pause --help.`);
}

/** The word for a switch, for undo lines and status. */
export const wordOf = (name: SwitchRowName): string => Object.keys(words).find((word) => words[word] === name) ?? name;
