import { importMappings } from '../../connections/mapping/import-mappings.ts';
import { StewardError } from '../../errors.ts';
import { addressFormsOf } from '../address-forms-of.ts';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';

/** `mappings set ORG MEMBER ZOOM_USER` */
export const mappingsSet = defineCommand<WritingOptions>({
  name: 'set',
  args: [
    ['<organization>', 'id or name'],
    ['<member>', 'id or e-mail address'],
    ['<zoom-user>', 'Zoom user id, or e-mail address at Zoom; "none" ends the mapping'],
  ],
  summary: 'say as which Zoom user a member hosts, whatever their addresses',
  details: `A mapping goes before the match by e-mail, lives as long as the organization stays on its Zoom account, and is told to
the member. A Zoom user is one member's: one that another member is matched to is refused.`,
  examples: [
    'mappings set Northwind anna@northwind.example x3fYk2 --reason "married name at Zoom, ticket 4711"',
    'mappings set Northwind anna@northwind.example none --reason "left the agency"',
  ],
  options: writingOptions(),
  async action(context) {
    const { args, io, open, print } = context;
    const [name, member, zoomUser] = args as readonly [string, string, string];
    const { db } = await open();
    const organization = await findOrganization(db, name);
    const asker = await askWhy(context);
    const { written, summary } = await importMappings(db, {
      organizationId: organization.id,
      input: { wishes: [{ line: 1, member, zoomUser: zoomUser.toLowerCase() === 'none' ? null : zoomUser }] },
      forms: addressFormsOf(io),
      asker,
    });
    if (!written)
      throw new StewardError('mappings_refused', `Nothing was changed: ${summary.lines[0]?.problem ?? 'refused'}.`);
    print.answer({ organization, ...summary }, () =>
      summary.unchanged > 0 ? 'It was so already.' : 'Done; the member is told.',
    );
    print.note(`See it: zoom-steward explain ${member}`);
    if (summary.unchanged === 0) print.note(`To undo: zoom-steward mappings set with what was there before, or none`);
  },
});
