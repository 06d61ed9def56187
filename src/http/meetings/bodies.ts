import { z } from 'zod';

const isTimeZone = (name: string): boolean => {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined;
  } catch {
    return false;
  }
};

const changeable = {
  topic: z.string().min(1).max(200),
  startsAt: z.iso.datetime({ offset: true }),
  durationMinutes: z.int().min(1).max(1440),
  timeZone: z.string().max(64).refine(isTimeZone, { error: 'expected an IANA time zone like Europe/Berlin' }),
  agenda: z.string().max(2000),
};

/** Body of POST /v1/meetings. */
export const meetingRequest = z.strictObject({
  organizationId: z.guid(),
  memberId: z.guid(),
  ...changeable,
  timeZone: changeable.timeZone.optional(),
  agenda: changeable.agenda.optional(),
});
export type MeetingRequest = z.infer<typeof meetingRequest>;

/** Body of PATCH /v1/meetings/:meetingRef: what changes, at least one of it. */
export const meetingChanges = z
  .strictObject(changeable)
  .partial()
  .refine((changes) => Object.keys(changes).length > 0, { error: `expected one of ${Object.keys(changeable).join()}` });
export type MeetingChanges = z.infer<typeof meetingChanges>;

const refusedFingerprint = z.string().max(64).optional();

/** Body of POST /v1/meeting-credentials. */
export const credentialsRequest = z.union([
  z.strictObject({
    purpose: z.literal('create'),
    organizationId: z.guid(),
    memberId: z.guid(),
    refusedFingerprint,
  }),
  z.strictObject({
    purpose: z.literal('create'),
    organizationId: z.guid(),
    eventTypeId: z.guid(),
    refusedFingerprint,
  }),
  z.strictObject({ purpose: z.literal('manage'), meetingRef: z.string(), refusedFingerprint }),
]);
export type CredentialsRequest = z.infer<typeof credentialsRequest>;

/** Header Idempotency-Key: the main app's name for one booking. */
export const idempotencyKey = z.string().min(1).max(255);

/** The fields as Zoom spells them; times in UTC, without fractions of a second, as its documentation writes them. */
export const toZoom = (changes: MeetingChanges): Record<string, unknown> => ({
  ...(changes.topic === undefined ? {} : { topic: changes.topic }),
  ...(changes.startsAt === undefined
    ? {}
    : { start_time: new Date(changes.startsAt).toISOString().replace(/\.\d+Z$/, 'Z') }),
  ...(changes.durationMinutes === undefined ? {} : { duration: changes.durationMinutes }),
  ...(changes.timeZone === undefined ? {} : { timezone: changes.timeZone }),
  ...(changes.agenda === undefined ? {} : { agenda: changes.agenda }),
});
