import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { DB } from '../../src/db/schema.ts';

/** A node of a plan as it ran. Times all loops: rows and filtered are an average of one. */
export type PlanNode = {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly PlanNode[];
};

/**
 * Runs the work on a connection of its own and gives every node of every plan that ran, also inside functions: the
 * statements as the code sends them, not copies of them.
 */
export async function recordPlans(
  url: string,
  work: (db: Kysely<DB>) => Promise<unknown>,
): Promise<readonly PlanNode[]> {
  const plans: string[] = [];
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  const client = await pool.connect();
  client.on('notice', ({ message = '' }) => {
    const json = message.indexOf('{');
    if (message.includes('plan:') && json >= 0) plans.push(message.slice(json));
  });
  await client.query(`load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on;
    set auto_explain.log_analyze = on; set auto_explain.log_buffers = on; set auto_explain.log_timing = off;
    set auto_explain.log_format = json; set auto_explain.log_level = notice; set client_min_messages = notice`);
  client.release();
  const db = new Kysely<DB>({ dialect: new PostgresDialect({ pool }) });
  try {
    await work(db);
  } finally {
    await db.destroy();
  }
  const nodes: PlanNode[] = [];
  const collect = (node: PlanNode): void => {
    nodes.push(node);
    node.Plans?.forEach(collect);
  };
  for (const plan of plans) collect((JSON.parse(plan) as { Plan: PlanNode }).Plan);
  return nodes;
}
