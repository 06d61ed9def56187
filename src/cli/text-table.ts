/** Columns padded to their widest cell, two spaces apart, header in capitals; empty cells are shown as a dash. */
export function textTable(header: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (cell === null || cell === '' ? '–' : String(cell))));
  const lines = [header.map((name) => name.toUpperCase()), ...cells];
  const widths = header.map((_, at) => Math.max(...lines.map((line) => (line[at] ?? '').length)));
  return lines
    .map((line) =>
      line
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** 1204 → "1,204" */
export const thousands = (count: number): string => count.toLocaleString('en-US');

/** "1 member", "2 members" */
export const counted = (count: number, noun: string): string => `${thousands(count)} ${noun}${count === 1 ? '' : 's'}`;

const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const;

/** A span in its two largest units: 93784 s → "1 d 2 h". */
export function span(seconds: number): string {
  let left = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [name, size] of units) {
    const count = Math.floor(left / size);
    if (count > 0 && parts.length < 2) parts.push(`${count} ${name}`);
    left -= count * size;
  }
  return parts.join(' ') || '0 s';
}
