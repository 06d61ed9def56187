import { accessSync, constants, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// What processes of the tests compile – workers and commands, a few hundred times the same – they find the next time.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, 'node_modules/.cache/compile');

/** Bytes that must be free before the databases of a run are kept in memory; a run took 311 MB. */
const roomy = 2 * 1024 ** 3;

// A hundred copies of a database are a third of the run's processor time on a disk.
function inMemory(dir: string): boolean {
  try {
    accessSync(dir, constants.W_OK);
    const { bavail, bsize } = statfsSync(dir);
    return bavail * bsize > roomy && process.availableMemory() > roomy;
  } catch {
    return false;
  }
}
if (inMemory('/dev/shm')) process.env['STEWARD_SCRATCH_DIR'] ??= '/dev/shm';

/** Files that mostly wait, or take a minute: begun first, they do not stand alone at the end. */
const first = ['test/crash/', 'test/demo/', 'test/queues/'];

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = first.findIndex((folder) => moduleId.includes(`/${folder}`));
      return found < 0 ? first.length : found;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-postgres.ts'],
    setupFiles: ['test/support/handle-guard.ts', 'test/support/canary/setup.ts'],
    pool: 'forks',
    // One more than processors: some file always waits for a timer or a process.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    sequence: { sequencer: LongFirst },
  },
});
