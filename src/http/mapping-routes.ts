import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { AddressForms } from '../connections/address-forms.ts';
import { importMappings, type MappingInput, previewMappings } from '../connections/mapping/import-mappings.ts';
import { listMappings } from '../connections/mapping/list-mappings.ts';
import type { Database } from '../db/database.ts';
import { ApiError } from './api-error.ts';
import type { ActingMember } from './member-claims.ts';

/** A file of a hundred thousand lines. */
const bodyLimit = 16 * 1024 * 1024;
const most = 100_000;
const name = z.string().trim().min(1).max(320);
const mappingBody = z.union([
  z.strictObject({ csv: z.string() }),
  z.strictObject({
    entries: z.array(z.strictObject({ member: name, zoomUser: name.nullable() })).max(most),
  }),
]);
const page = z.object({ after: z.guid().optional() });

export type MappingRoutes = {
  readonly db: Database;
  readonly forms: AddressForms;
  /** the organization, for a key that may read it */
  reader(request: FastifyRequest): Promise<string>;
  /** the owner or admin behind the request */
  manager(request: FastifyRequest): Promise<ActingMember>;
};

const inputOf = (body: unknown): MappingInput => {
  const parsed = mappingBody.parse(body);
  return 'csv' in parsed ? parsed : { wishes: parsed.entries.map((entry, at) => ({ line: at + 1, ...entry })) };
};

/** Which member hosts as which Zoom user: listed, previewed, and written by owners (lifecycle §6). */
export function mappingRoutes(app: FastifyInstance, { db, forms, reader, manager }: MappingRoutes): void {
  app.get('/v1/organizations/:organizationId/mappings', async (request) => {
    const organizationId = await reader(request);
    const { after } = page.parse(request.query);
    const mappings = await listMappings(db, organizationId, { after: after ?? null });
    return { mappings, next: mappings.length === 1_000 ? mappings.at(-1)?.memberId : null };
  });

  app.post('/v1/organizations/:organizationId/mappings/preview', { bodyLimit }, async (request) => {
    const { organizationId } = await manager(request);
    return previewMappings(db, { organizationId, input: inputOf(request.body), forms });
  });

  app.post('/v1/organizations/:organizationId/mappings', { bodyLimit }, async (request) => {
    const { organizationId, memberId } = await manager(request);
    const input = inputOf(request.body);
    const { written, summary } = await importMappings(db, { organizationId, input, forms, asker: { memberId } });
    if (written) return summary;
    throw new ApiError(409, 'mappings_refused', 'Some lines cannot be done, so none was: see lines', {
      details: summary,
    });
  });
}
