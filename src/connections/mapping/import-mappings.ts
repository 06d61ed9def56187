import type { Database } from '../../db/database.ts';
import type { AddressForms } from '../address-forms.ts';
import type { Asker } from '../authority.ts';
import { type MappingSummary, summarizeMappings } from './mapping-summary.ts';
import { type MappingWish, readMappingCsv } from './read-csv.ts';
import { getMappedAccount, weighMappings } from './weigh-mappings.ts';
import { writeMappings } from './write-mappings.ts';

/** A file, or a list. */
export type MappingInput = { readonly csv: string } | { readonly wishes: readonly MappingWish[] };

type Request = { readonly organizationId: string; readonly input: MappingInput; readonly forms: AddressForms };

const readInput = (input: MappingInput) =>
  'csv' in input
    ? readMappingCsv(input.csv)
    : { wishes: input.wishes, problems: [], blank: 0, ignoredColumns: [] as string[] };

/** What an import would do, by the facts of this moment. Changes nothing. */
export async function previewMappings(
  db: Database,
  { organizationId, input, forms }: Request,
): Promise<MappingSummary> {
  await getMappedAccount(db, organizationId);
  const read = readInput(input);
  return summarizeMappings(await weighMappings(db, organizationId, { wishes: read.wishes, forms }), read);
}

export type Imported = { readonly written: boolean; readonly summary: MappingSummary };

/** Does all of it, or – if one line cannot be read or done – nothing, and says which lines. */
export async function importMappings(db: Database, request: Request & { readonly asker: Asker }): Promise<Imported> {
  const read = readInput(request.input);
  if (read.problems.length > 0) return { written: false, summary: await previewMappings(db, request) };
  const { organizationId, asker, forms } = request;
  const done = await db
    .transaction()
    .execute((trx) => writeMappings(trx, { organizationId, asker, forms, wishes: read.wishes }));
  return { written: done.state === 'written', summary: summarizeMappings(done.mappings, read) };
}
