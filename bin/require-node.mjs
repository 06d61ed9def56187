// Plain JavaScript on purpose: it must say its sentence on the Node that is too old for the rest.
import { existsSync } from 'node:fs';

if (Number(process.versions.node.split('.', 1)) < 24) {
  const inRepository = existsSync(new URL('../src/cli/main.ts', import.meta.url));
  process.stderr.write(
    `Expected Node 24 or newer, got ${process.versions.node}. ${
      inRepository
        ? 'npm ci brings it as the dev dependency "node"; if install scripts are switched off, run ' +
          '"npm rebuild node --ignore-scripts=false" and start through npm (npm run demo, npm test).'
        : 'The worker needs it; zoom-steward-client, which the main app imports, works on Node 20.'
    }\n`,
  );
  process.exit(1);
}
