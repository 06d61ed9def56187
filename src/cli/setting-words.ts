import { InvalidArgumentError } from 'commander';
import type { OrganizationSettings } from '../connections/settings.ts';

type Word = {
  readonly key: keyof OrganizationSettings;
  /** undefined: not a value of this setting */
  parse(text: string): OrganizationSettings[keyof OrganizationSettings] | undefined;
  readonly expected: string;
};

const onOff = (text: string): boolean | undefined => (text === 'on' ? true : text === 'off' ? false : undefined);
const list = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
const days = (text: string): number | undefined => (/^\d{1,4}$/.test(text) ? Number(text) : undefined);
const orNull =
  <T>(word: string, parse: (text: string) => T) =>
  (text: string): T | null =>
    text === word ? null : parse(text);

const words: Readonly<Record<string, Word>> = {
  'allow-opt-out': { key: 'allowOptOut', parse: onOff, expected: 'on or off' },
  'zoom-for-new-event-types': { key: 'zoomForNewEventTypes', parse: onOff, expected: 'on or off' },
  'meeting-summary': { key: 'meetingSummary', parse: onOff, expected: 'on or off' },
  rollout: {
    key: 'rollout',
    parse: (text) => (text === 'all' || text === 'groups' || text === 'domains' ? text : undefined),
    expected: 'all, groups or domains',
  },
  'rollout-groups': { key: 'rolloutGroups', parse: list, expected: 'ids of groups' },
  'rollout-domains': { key: 'rolloutDomains', parse: list, expected: 'domains' },
  'fallback-location': {
    key: 'fallbackLocation',
    parse: orNull('none', (text) => ({ kind: text })),
    expected: 'a kind of location, or none',
  },
  'shared-host': { key: 'sharedHost', parse: orNull('none', (text) => text), expected: 'a Zoom user id, or none' },
  'reconnect-days': { key: 'reconnectDays', parse: orNull('never', days), expected: '1 to 60, or never' },
  'archive-days': { key: 'archiveDays', parse: days, expected: '1 to 3650' },
};

/** Names as a person types them. */
export const settingNames: readonly string[] = Object.keys(words);

/** The change that `name=value` asks for. */
export function parseSetting(text: string): Partial<OrganizationSettings> {
  const at = text.indexOf('=');
  const word = words[text.slice(0, at < 0 ? text.length : at)];
  if (!word || at < 0)
    throw new InvalidArgumentError(`Expected name=value with one of ${settingNames.join(', ')}, got "${text}".`);
  const value = word.parse(text.slice(at + 1).trim());
  if (value === undefined) throw new InvalidArgumentError(`Expected ${word.expected}, got "${text.slice(at + 1)}".`);
  return { [word.key]: value };
}

/** A setting as a person would type it. */
export function textOfSetting(settings: OrganizationSettings, name: string): string {
  const value = words[name] && settings[words[name].key];
  if (value === null) return name === 'reconnect-days' ? 'never' : 'none';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (Array.isArray(value)) return value.join(', ') || 'none';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
