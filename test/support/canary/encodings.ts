import { secretMark } from '../../../src/simulator/secret-mark.ts';

/**
 * What secrets of the tests can be known by. Random secrets that the product makes begin with the first (`marked-random.ts`),
 * tokens and codes of the simulator hold it, and so do secrets that tests configure; the others are in the simulator's
 * default world.
 */
const marks = [secretMark, 'sim-admin-secret', 'sim-personal-secret'];

/** The bytes of a random secret that is not written as base64url. */
export const markBytes = Buffer.from(secretMark, 'base64url');

/** Base64 of `bytes` wherever they stand in what was encoded: by offset, without the characters that neighbours share. */
function base64Inside(bytes: Buffer, alphabet: 'base64' | 'base64url'): string[] {
  return [0, 1, 2].map((offset) => {
    const whole = Buffer.concat([Buffer.alloc(offset), bytes]);
    const text = whole.toString(alphabet).replaceAll('=', '');
    const end = Math.floor((whole.length * 8) / 6);
    return text.slice(Math.ceil((offset * 8) / 6), end);
  });
}

const each = (text: string, write: (code: number) => string): string =>
  [...text].map((letter) => write(letter.charCodeAt(0))).join('');
const hex = (code: number): string => code.toString(16).padStart(2, '0');

function formsOf(mark: string): [form: string, encoding: string][] {
  const bytes = Buffer.from(mark);
  const percent = each(mark, (code) => `%${hex(code)}`);
  const named = (encoding: string, forms: readonly string[]) => forms.map((form): [string, string] => [form, encoding]);
  return [
    ...named('plain', [mark]),
    ...named('base64', base64Inside(bytes, 'base64')),
    ...named('base64', base64Inside(bytes, 'base64url')),
    ...named('hex', [bytes.toString('hex'), bytes.toString('hex').toUpperCase()]),
    ...named('percent', [percent, percent.toUpperCase()]),
  ];
}

const ofBytes = (form: string): [string, string] => [form, 'bytes'];

/** Forms with the name of their encoding. Base64 of the bytes at the beginning is the mark itself. */
const forms = new Map([
  ...(['base64', 'base64url'] as const).flatMap((alphabet) => base64Inside(markBytes, alphabet)).map(ofBytes),
  ...[markBytes.toString('hex'), markBytes.toString('hex').toUpperCase(), markBytes.toString('latin1')].map(ofBytes),
  ...marks.flatMap(formsOf),
]);
const quoted = [...forms.keys()].map((form) => form.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
/** Escaped in JSON, however often: each time the backslashes double. */
const escaped = marks.map((mark) => each(mark, (code) => `\\\\+u00(?:${hex(code)}|${hex(code).toUpperCase()})`));
const pattern = new RegExp([...quoted, ...escaped].join('|'), 'g');

export type Found = {
  readonly encoding: string;
  /** what stands before it, at most 600 characters */
  readonly before: string;
};

/** Where in a text, or in bytes, a secret of the tests is, in whatever encoding. */
export function findSecrets(content: string | Uint8Array): Found[] {
  const text = typeof content === 'string' ? content : Buffer.from(content).toString('latin1');
  return [...text.matchAll(pattern)].map((match) => ({
    encoding: forms.get(match[0]) ?? 'json',
    before: text.slice(Math.max(0, match.index - 600), match.index),
  }));
}
