import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';

const entrySchema = z.object({
  attempt: z.object({ id: z.uuid(), grantId: z.uuid(), version: z.int(), clientId: z.string() }),
  sealedAccess: z.string(),
  sealedRefresh: z.string(),
  /** Zoom gave no new refresh token: the sealed one is the one that was sent */
  sameRefresh: z.boolean(),
  expiresInS: z.number().nullable(),
  scopes: z.array(z.string()).nullable(),
  apiUrl: z.string().nullable(),
  /** when the answer came, by this machine's clock */
  answeredAt: z.iso.datetime(),
});

/** A pair that the database could not take, sealed as its row would hold it; what is beside it is no secret. */
export type JournalEntry = z.infer<typeof entrySchema>;

/** Pairs on disk while the database is away. */
export type Journal = {
  /** Resolves when it is on disk. */
  write(entry: JournalEntry): Promise<void>;
  /** Entries that some process left; null in place of one that cannot be read, which stays on disk. */
  list(): Promise<readonly { readonly name: string; readonly entry: JournalEntry | null }[]>;
  /** After the commit. */
  remove(attemptId: string): Promise<void>;
};

const nameShape = /^[0-9a-f-]{36}$/;

async function synced(path: string, flags: string, text?: string): Promise<void> {
  const handle = await open(path, flags, 0o600);
  try {
    if (text !== undefined) await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * The sealed journal (lifecycle §3, step 5): a file for each pair, named `path` and the attempt's id, so that processes
 * may share a directory and none is ever written twice. A half-written one has another name and is never read.
 */
export function createJournal(path: string): Journal {
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  const fileOf = (id: string): string => join(folder, prefix + id);
  return {
    async write(entry) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = fileOf(entry.attempt.id);
      await synced(`${file}.part`, 'w', JSON.stringify(entry));
      await rename(`${file}.part`, file);
      // The name must survive a crash too.
      await synced(folder, 'r');
    },

    async list() {
      const names = await readdir(folder).catch((): string[] => []);
      const ids = names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
      const found = ids.filter((id) => nameShape.test(id)).sort();
      return await Promise.all(
        found.map(async (id) => {
          try {
            return { name: prefix + id, entry: entrySchema.parse(JSON.parse(await readFile(fileOf(id), 'utf8'))) };
          } catch {
            return { name: prefix + id, entry: null };
          }
        }),
      );
    },

    remove: (attemptId) => rm(fileOf(attemptId), { force: true }),
  };
}
