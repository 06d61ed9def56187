import { describe } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { queueConformance } from './queue-conformance.ts';

const database = useDatabase();

describe('queue on Postgres', () => {
  queueConformance(() => ({ kind: 'postgres', url: database.url }));
});
