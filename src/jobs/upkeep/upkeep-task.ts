import type { Database } from '../../db/database.ts';
import type { JobServices, UpkeepResult } from '../services/job-services.ts';

/** Something that a tick looks for. */
export type UpkeepTask = (db: Database, services: JobServices) => Promise<UpkeepResult>;
