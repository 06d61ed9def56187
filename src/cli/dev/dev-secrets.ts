import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export type DevSecrets = { readonly keys: string; readonly claimSecret: string };

const fileName = 'secrets.json';

/** Key ring and claim secret of a development directory: made once, so that what is sealed there opens again. */
export async function devSecrets(dir: string): Promise<DevSecrets> {
  const file = join(dir, fileName);
  try {
    return JSON.parse(await readFile(file, 'utf8')) as DevSecrets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const made = {
    keys: `dev:${randomBytes(32).toString('base64')}`,
    claimSecret: randomBytes(32).toString('base64url'),
  };
  await writeFile(file, `${JSON.stringify(made)}\n`, { mode: 0o600 });
  return made;
}
