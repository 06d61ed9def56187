/** A row of a markdown table: header → cell, with the line it stands on. */
export type TableRow = { readonly line: number; readonly cells: Readonly<Record<string, string>> };

/** Every table of a markdown text, with its header cells. A row with too few or too many cells is refused. */
export function readTables(text: string): { header: readonly string[]; rows: readonly TableRow[] }[] {
  const tables: { header: string[]; rows: TableRow[] }[] = [];
  let header: string[] | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    if (!line.startsWith('|')) {
      header = undefined;
      continue;
    }
    const cells = line
      .replace(/^\||\|$/g, '')
      .split('|')
      .map((cell) => cell.trim());
    if (!header) {
      header = cells;
      tables.push({ header, rows: [] });
    } else if (!cells.every((cell) => /^-+$/.test(cell))) {
      if (cells.length !== header.length)
        throw new Error(
          `line ${index + 1}: expected ${header.length} cells (${header.join(', ')}), got ${cells.length}`,
        );
      const names = header;
      tables
        .at(-1)
        ?.rows.push({ line: index + 1, cells: Object.fromEntries(cells.map((cell, at) => [names[at], cell])) });
    }
  }
  return tables;
}
