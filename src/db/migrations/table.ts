/**
 * A table written so that no column can be added without a sentence about it.
 * Migrations import only this file: it builds text and knows nothing of the application.
 */
export type TableSpec = {
  readonly name: string;
  readonly comment: string;
  /** column name → [definition, comment] */
  readonly columns: Readonly<Record<string, readonly [definition: string, comment: string]>>;
  readonly constraints?: readonly string[];
  /** whole `create index` tails: `[unique] NAME on … ` is written by the caller */
  readonly indexes?: readonly string[];
  /** storage parameters, e.g. `fillfactor = 85` */
  readonly with?: string;
};

const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** The statements that create a table with its comments and indexes, in order. */
export function createTable(spec: TableSpec): string[] {
  const columns = Object.entries(spec.columns).map(([name, [definition]]) => `  ${name} ${definition}`);
  const body = [...columns, ...(spec.constraints ?? []).map((text) => `  ${text}`)].join(',\n');
  return [
    `create table ${spec.name} (\n${body}\n)${spec.with ? ` with (${spec.with})` : ''}`,
    `comment on table ${spec.name} is ${quote(spec.comment)}`,
    ...Object.entries(spec.columns).map(
      ([name, [, comment]]) => `comment on column ${spec.name}.${name} is ${quote(comment)}`,
    ),
    ...(spec.indexes ?? []),
  ];
}

/** The statements that add columns to a table, each with its comment, in order. */
export function addColumns(table: string, columns: TableSpec['columns']): string[] {
  return Object.entries(columns).flatMap(([name, [definition, comment]]) => [
    `alter table ${table} add column ${name} ${definition}`,
    `comment on column ${table}.${name} is ${quote(comment)}`,
  ]);
}
