import { createRequire } from 'node:module';
import * as client from 'zoom-steward-client';
import { use } from './use-client.cjs';

const required = createRequire(import.meta.url)('zoom-steward-client');
if (required.StewardRequestError !== client.StewardRequestError) throw new Error('import and require are two clients');
await use(client);
