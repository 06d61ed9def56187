import { InvalidArgumentError, Option } from 'commander';
import { listMappings } from '../../connections/mapping/list-mappings.ts';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import { isUuid } from '../is-uuid.ts';
import { textTable } from '../text-table.ts';

const pageSize = 1_000;

/** The id that a page ended with, as an option. */
export function memberId(text: string): string {
  if (isUuid(text)) return text;
  throw new InvalidArgumentError('Expected the id of a member, as "next" of the page before says it.');
}

/** `mappings list ORG` */
export const mappingsList = defineCommand<{ readonly after?: string }>({
  name: 'list',
  args: [['<organization>', 'id or name']],
  summary: 'members who host as a Zoom user that somebody chose for them',
  examples: ['mappings list Northwind', 'mappings list Northwind --json --after 6f9f…'],
  options: [new Option('--after <id>', 'go on after this member').argParser(memberId)],
  async action({ args, options, print, open }) {
    const { db } = await open();
    const organization = await findOrganization(db, args[0] as string);
    const mappings = await listMappings(db, organization.id, { after: options.after ?? null, limit: pageSize });
    const next = mappings.length === pageSize ? mappings.at(-1)?.memberId : null;
    print.answer({ organization, mappings, next }, () =>
      textTable(
        ['member', 'zoom user', 'by', 'since'],
        mappings.map((one) => [
          one.memberId,
          one.zoomUserId,
          one.origin === 'domain' ? `equal domains (${one.actor})` : one.actor,
          one.createdAt.toISOString(),
        ]),
      ),
    );
    if (next) print.note(`More: --after ${next}`);
  },
});
