/** One wish: this member hosts as this Zoom user. */
export type MappingWish = {
  /** line of the file, from 1; of a list, its place */
  readonly line: number;
  /** id or e-mail address */
  readonly member: string;
  /** Zoom user id or e-mail address; null ends the mapping */
  readonly zoomUser: string | null;
};

/** What keeps a line from being a wish. */
export type LineProblem = { readonly line: number; readonly problem: string };

export type ReadCsv = {
  readonly wishes: readonly MappingWish[];
  readonly problems: readonly LineProblem[];
  /** lines that name a member and no Zoom user: left as they are */
  readonly blank: number;
  /** columns that nobody asked for */
  readonly ignoredColumns: readonly string[];
};

/** Names of the columns, the preferred one first. */
const memberColumns = ['member_id', 'member_email', 'member'];
const zoomUserColumns = ['zoom_user_id', 'zoom_user_email', 'zoom_user'];
/** What ends a mapping; an empty field leaves it alone, so that a half-filled file loses nothing. */
const endsMapping = 'none';

type Row = { readonly line: number; readonly fields: readonly string[] };

/**
 * Reads lines of a member and a Zoom user (RFC 4180; comma, semicolon or tab as the header has it; quoted fields, a byte
 * order mark and any line end are fine). Never throws: what cannot be read is a problem with its line.
 */
export function readMappingCsv(text: string): ReadCsv {
  const body = text.replace(/^\uFEFF/, '');
  const header = body.slice(0, (body.search(/[\r\n]/) + 1 || body.length + 1) - 1);
  const separator = [',', ';', '\t'].find((one) => header.includes(one)) ?? ',';
  const { rows, problem } = splitRows(body, separator);
  const [first, ...rest] = rows;
  const columns = (first?.fields ?? []).map((name) => name.trim().toLowerCase());
  const memberAt = memberColumns.map((name) => columns.indexOf(name)).filter((at) => at >= 0);
  const zoomAt = zoomUserColumns.map((name) => columns.indexOf(name)).filter((at) => at >= 0);
  const ignoredColumns = columns.filter((_, at) => ![...memberAt, ...zoomAt].includes(at));
  const none = { wishes: [], blank: 0, ignoredColumns };
  if (memberAt.length === 0 || zoomAt.length === 0) {
    const said = `expected a header with one of ${memberColumns.join(', ')} and one of ${zoomUserColumns.join(', ')}, got "${header.slice(0, 80)}"`;
    return { ...none, problems: [{ line: first?.line ?? 1, problem: said }] };
  }
  const wishes: MappingWish[] = [];
  const problems: LineProblem[] = problem ? [problem] : [];
  let blank = 0;
  for (const { line, fields } of rest) {
    const filled = (places: readonly number[]): string =>
      places.map((at) => (fields[at] ?? '').trim()).find((text) => text !== '') ?? '';
    const [member, zoomUser] = [filled(memberAt), filled(zoomAt)];
    if (fields.length !== columns.length)
      problems.push({ line, problem: `expected ${columns.length} fields, got ${fields.length}` });
    else if (member === '' && fields.some((field) => field.trim() !== ''))
      problems.push({ line, problem: 'expected a member, got an empty field' });
    else if (zoomUser === '') blank += member === '' ? 0 : 1;
    else wishes.push({ line, member, zoomUser: zoomUser.toLowerCase() === endsMapping ? null : zoomUser });
  }
  return { wishes, problems, blank, ignoredColumns };
}

/** Records with the line each begins on. Empty lines are none. */
function splitRows(text: string, separator: string): { rows: Row[]; problem: LineProblem | null } {
  const rows: Row[] = [];
  let fields: string[] = [];
  let field = '';
  let quoted = false;
  let line = 1;
  let begunAt = 1;
  const endRow = (): void => {
    fields.push(field);
    if (fields.length > 1 || field.trim() !== '') rows.push({ line: begunAt, fields });
    fields = [];
    field = '';
  };
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string;
    const lineEnds = char === '\n' || (char === '\r' && text[at + 1] !== '\n');
    if (lineEnds) line += 1;
    if (quoted) {
      if (char !== '"') field += char;
      else if (text[at + 1] === '"') {
        field += '"';
        at += 1;
      } else quoted = false;
    } else if (char === '"' && field.trim() === '') {
      quoted = true;
      field = '';
    } else if (char === separator) {
      fields.push(field);
      field = '';
    } else if (lineEnds) {
      endRow();
      begunAt = line;
    } else if (char !== '\r') field += char;
  }
  if (quoted)
    return { rows, problem: { line: begunAt, problem: 'a quote is never closed; nothing after it was read' } };
  endRow();
  return { rows, problem: null };
}
