import { meetingRefusals } from '../../src/client/meeting-refusals.ts';

/** Pages with a generated section, and which one. */
const sections: Readonly<Record<string, () => string>> = {
  'docs/contracts/api.md': shortTable,
  'docs/meetings.md': () => [wholeTable(), textsTable()].join('\n\n'),
};
export const generatedPages: readonly string[] = Object.keys(sections);

const begin = '<!-- meeting refusals -->';
const end = '<!-- end of meeting refusals -->';

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const refusals = Object.entries(meetingRefusals);
const facts = refusals.map(([code, { status, retryable, mendedBy, message }]) => ({
  message,
  cells: [`\`${code}\``, String(status), retryable ? 'yes' : 'no', mendedBy.replace('_', ' ')],
}));

function shortTable(): string {
  return table(
    ['code', 'status', 'retryable', 'mended by'],
    facts.map(({ cells }) => cells),
  );
}

function wholeTable(): string {
  return table(
    ['code', 'status', 'retryable', 'mended by', 'what it means'],
    facts.map(({ cells, message }) => [...cells, message]),
  );
}

function textsTable(): string {
  return table(
    ['code', 'to the host', 'to the person who books'],
    refusals.map(([code, { toHost, toInvitee }]) => [`\`${code}\``, toHost, toInvitee]),
  );
}

/**
 * A page with its section between the two comments written anew.
 * @throws when the page has no such section
 */
export function withRefusals(path: string, page: string): string {
  const [before, rest] = page.split(`${begin}\n`);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`expected ${begin} and ${end} in the page`);
  return `${before}${begin}\n${sections[path]?.() ?? ''}\n${end}${after}`;
}
