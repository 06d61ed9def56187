import { Option } from 'commander';
import { Secret } from '../../secret.ts';
import { defineCommand } from '../define-command.ts';
import { installationQueue } from '../installation-queue.ts';

/** `migrate` */
export const migrate = defineCommand<{ readonly referenceApp?: boolean }>({
  name: 'migrate',
  summary: 'bring the database to this release',
  details: `Brings the worker's schema to this release: tables, functions, views, roles, and the schema of the queue. Runs under
a lock; running it again changes nothing. The first time it records which queue this installation has.`,
  examples: ['migrate', 'migrate --reference-app'],
  options: [new Option('--reference-app', 'also install tables of a main app, to try things out')],
  async action({ options, print, open, io }) {
    const { db, url } = await open();
    const { migrateReferenceApp } = await import('../../db/migrate.ts');
    const { migrateAll } = await import('../../queues/migrate-all.ts');
    const reference = options.referenceApp ? await migrateReferenceApp(db) : [];
    const done = await migrateAll(db, { databaseUrl: new Secret(url), ...installationQueue(io.env) });
    const ran = [...reference, ...done.ran];
    print.answer({ ...done, ran }, () =>
      ran.length > 0 ? `Ran ${ran.join(', ')}.` : 'Nothing to do; functions and views were installed anew.',
    );
  },
});
