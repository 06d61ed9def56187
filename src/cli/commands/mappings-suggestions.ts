import { Option } from 'commander';
import { suggestMappings } from '../../connections/mapping/suggest-mappings.ts';
import { addressFormsOf } from '../address-forms-of.ts';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import { counted, textTable } from '../text-table.ts';
import { memberId } from './mappings-list.ts';

/** `mappings suggestions ORG` */
export const mappingsSuggestions = defineCommand<{ readonly after?: string }>({
  name: 'suggestions',
  args: [['<organization>', 'id or name']],
  summary: 'Zoom users that may be members who have none; nothing is applied',
  details: `Same name at another domain that is known in the organization or its Zoom account, 500 members at a time. Turn one into a
mapping with "mappings set", a pair of domains with "mappings equate". Without STEWARD_KEYS only users whose address is known
are found.`,
  examples: ['mappings suggestions Northwind', 'mappings suggestions Northwind --json --after 6f9f…'],
  options: [new Option('--after <id>', 'go on after this member').argParser(memberId)],
  async action({ args, io, options, print, open }) {
    const { db } = await open();
    const organization = await findOrganization(db, args[0] as string);
    const found = await suggestMappings(db, {
      organizationId: organization.id,
      forms: addressFormsOf(io),
      after: options.after ?? null,
    });
    print.answer({ organization, ...found }, () =>
      textTable(
        ['member', 'address', 'zoom user', 'address at Zoom', 'status'],
        found.members.flatMap(({ memberId, memberEmail, suggestions }) =>
          suggestions.map((one) => [memberId, memberEmail, one.zoomUserId ?? '–', one.zoomUserEmail, one.status]),
        ),
      ),
    );
    print.note(`${counted(found.looked, 'member')} without a Zoom user looked at.`);
    for (const { domain, sameAs, members } of found.domains)
      print.note(
        `${counted(members, 'member')}: zoom-steward mappings equate ${organization.id} ${domain} ${sameAs} --preview`,
      );
    if (found.next) print.note(`More: --after ${found.next}`);
  },
});
