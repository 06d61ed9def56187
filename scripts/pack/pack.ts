import { join } from 'node:path';
import { ran, repository } from './projects.ts';

/** A package as `npm pack` made it. */
export type Packed = {
  readonly name: string;
  readonly version: string;
  /** absolute path of the .tgz */
  readonly tarball: string;
  readonly unpackedBytes: number;
  /** paths inside the package */
  readonly files: readonly string[];
};

type Listing = {
  readonly name: string;
  readonly version: string;
  readonly filename: string;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
};

/** `npm pack`, which builds first: `folder` is the package's, below the repository. */
export async function pack(folder: string, into: string): Promise<Packed> {
  const args = ['pack', join(repository, folder), '--json', '--pack-destination', into];
  const output = await ran('npm', args, { cwd: repository });
  const [listing] = JSON.parse(output) as [Listing];
  return {
    name: listing.name,
    version: listing.version,
    tarball: join(into, listing.filename),
    unpackedBytes: listing.unpackedSize,
    files: listing.files.map(({ path }) => path),
  };
}
