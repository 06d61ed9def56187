import { listEquivalences } from '../../connections/mapping/equal-domains.ts';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import { textTable } from '../text-table.ts';

/** `mappings domains ORG` */
export const mappingsDomains = defineCommand({
  name: 'domains',
  args: [['<organization>', 'id or name']],
  summary: 'pairs of domains that mean the same people',
  examples: ['mappings domains Northwind'],
  async action({ args, print, open }) {
    const { db } = await open();
    const organization = await findOrganization(db, args[0] as string);
    const equivalences = await listEquivalences(db, organization.id);
    print.answer({ organization, equivalences }, () =>
      textTable(
        ['domain', 'same as', 'members', 'by', 'since'],
        equivalences.map((one) => [
          one.domain,
          one.sameAs,
          String(one.members),
          one.actor,
          one.createdAt.toISOString(),
        ]),
      ),
    );
  },
});
