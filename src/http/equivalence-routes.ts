import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { changeEquivalence, previewEquivalence } from '../connections/mapping/change-equivalence.ts';
import { listEquivalences } from '../connections/mapping/equal-domains.ts';
import { suggestMappings } from '../connections/mapping/suggest-mappings.ts';
import type { MappingRoutes } from './mapping-routes.ts';

const domain = z.string().trim().min(1).max(320);
const previewBody = z.strictObject({ change: z.enum(['add', 'remove']), domain, sameAs: domain });
const changeBody = z.strictObject({
  domain,
  sameAs: domain,
  generation: z.number().int().optional(),
  organizationName: z.string().max(1_000).optional(),
});
const page = z.object({ after: z.guid().optional() });

/** Domains that mean the same people, and likely pairs of members and Zoom users (docs/directory.md). */
export function equivalenceRoutes(app: FastifyInstance, { db, forms, reader, manager }: MappingRoutes): void {
  app.get('/v1/organizations/:organizationId/domain-equivalences', async (request) => ({
    equivalences: await listEquivalences(db, await reader(request)),
  }));

  app.post('/v1/organizations/:organizationId/domain-equivalences/preview', async (request) => {
    const { organizationId } = await manager(request);
    return previewEquivalence(db, { organizationId, forms, ...previewBody.parse(request.body) });
  });

  const change = async (request: FastifyRequest, what: 'add' | 'remove') => {
    const { organizationId, memberId } = await manager(request);
    const { generation, organizationName, ...pair } = changeBody.parse(request.body);
    const confirm =
      generation === undefined || organizationName === undefined
        ? {}
        : { confirm: { generation, typedName: organizationName } };
    const said = { organizationId, change: what, ...pair, forms, asker: { memberId }, ...confirm };
    return db.transaction().execute((trx) => changeEquivalence(trx, said));
  };
  app.post('/v1/organizations/:organizationId/domain-equivalences', (request) => change(request, 'add'));
  app.post('/v1/organizations/:organizationId/domain-equivalences/remove', (request) => change(request, 'remove'));

  app.get('/v1/organizations/:organizationId/mapping-suggestions', async (request) => {
    const organizationId = await reader(request);
    const { after } = page.parse(request.query);
    return suggestMappings(db, { organizationId, forms, after: after ?? null });
  });
}
