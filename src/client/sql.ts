/** A pg client or pool: anything with `query(text, values)`. */
export type PgQueryable = {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
};

/** A Kysely instance or transaction, by shape, so that the client does not depend on Kysely. */
export type KyselyQueryable = {
  executeQuery(query: never): Promise<{ rows: unknown[] }>;
};

/** What the main app has at hand: its connection, or the transaction that changes the data. */
export type Queryable = PgQueryable | KyselyQueryable;

/** Runs one statement on either kind of connection and returns its rows. */
export async function query<Row>(on: Queryable, text: string, values: readonly unknown[]): Promise<Row[]> {
  if ('executeQuery' in on) {
    // The shape of Kysely's CompiledQuery.raw().
    const compiled = {
      query: { kind: 'RawNode', sqlFragments: [text], parameters: [] },
      queryId: { queryId: crypto.randomUUID() },
      sql: text,
      parameters: values,
    };
    return (await on.executeQuery(compiled as never)).rows as Row[];
  }
  return (await on.query(text, [...values])).rows as Row[];
}
