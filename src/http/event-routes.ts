import type { FastifyInstance, FastifyRequest } from 'fastify';
import { sql } from 'kysely';
import { z } from 'zod';
import type { Database } from '../db/database.ts';
import { authenticate, authorize, type ServiceKey } from './service-keys.ts';

const whole = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);
const eventsQuery = z.strictObject({
  after: whole.optional(),
  limit: whole.pipe(z.int().min(1).max(1_000)).default(100),
  organizationId: z.guid().optional(),
});
const takenBody = z.strictObject({ position: z.int().min(0), organizationId: z.guid().optional() });

/**
 * What the main app is told, for those who neither work on the queue nor read by SQL: by cursor, and what was taken
 * (docs/contracts/events.md). Service key with events:take; one that is bound sees its organization's alone.
 */
export function eventRoutes(app: FastifyInstance, { db }: { readonly db: Database }): void {
  const scope = async (request: FastifyRequest, asked: string | undefined): Promise<string | null> => {
    const key: ServiceKey = await authenticate(db, request.headers.authorization);
    authorize(key, 'events:take', asked ?? key.organizationId ?? '');
    return asked ?? key.organizationId;
  };

  app.get('/v1/events', async (request) => {
    const { after, limit, organizationId } = eventsQuery.parse(request.query);
    const of = await scope(request, organizationId);
    const { rows } = await sql`
      select position, organization_id as "organizationId", type, subject_id as "subjectId", data, created_at as at
        from steward.read_events(${after ?? null}::bigint, ${limit}::integer, ${of}::uuid)`.execute(db);
    return { events: rows };
  });

  app.post('/v1/events/taken', async (request) => {
    const { position, organizationId } = takenBody.parse(request.body);
    const of = await scope(request, organizationId);
    const { rows } = await sql<{ taken: number }>`
      select steward.events_taken(${position}::bigint, ${of}::uuid) as taken`.execute(db);
    return { taken: rows[0]?.taken ?? 0 };
  });
}
