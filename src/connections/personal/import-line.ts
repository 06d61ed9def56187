import { createHash } from 'node:crypto';
import { z } from 'zod';
import { Secret } from '../../secret.ts';

const text = (longest: number) => z.string().trim().min(1).max(longest);
const instant = z.iso.datetime({ offset: true }).transform((written) => new Date(written));

const shape = z.strictObject({
  memberId: z.guid(),
  zoomAccountId: text(200),
  zoomUserId: text(200),
  zoomUserEmail: text(320).optional(),
  refreshToken: text(8_000).transform((token) => new Secret(token)),
  accessToken: text(8_000)
    .transform((token) => new Secret(token))
    .optional(),
  accessExpiresAt: instant.optional(),
  scopes: z.array(text(200)).max(500).optional(),
  consentedAt: instant.optional(),
});

/** One member's Zoom as the main app has stored it; ids as `GET /users/me` gave them. */
export type ImportLine = z.infer<typeof shape>;

/** A line of the file, or what is wrong with it: fields by name, never a value. */
export function readImportLine(line: string): ImportLine | string {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return 'no JSON object';
  }
  const parsed = shape.safeParse(json);
  if (parsed.success) return parsed.data;
  // Names of unknown fields are the file's own, and could be anything.
  const fields = new Set(
    parsed.error.issues.map(({ code, path }) => (code === 'unrecognized_keys' ? 'an unknown field' : path.join('.'))),
  );
  return `not as documented: ${[...fields].map((field) => field || 'the line').join(', ')}`;
}

/** Tells a Zoom user apart, and whether two lines carry the same tokens, without keeping either. */
export const userOf = ({ zoomAccountId, zoomUserId }: ImportLine): string =>
  JSON.stringify([zoomAccountId, zoomUserId]);
export const fingerprintOf = ({ refreshToken }: ImportLine): string =>
  createHash('sha256').update(refreshToken.reveal()).digest('base64url');
