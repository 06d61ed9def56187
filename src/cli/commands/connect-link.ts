import { createConnectLink } from '../../connections/links.ts';
import { linkUrl } from '../../http/connect-pages.ts';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';

/** `connect-link ORG` */
export const connectLink = defineCommand<WritingOptions>({
  name: 'connect-link',
  args: [['<organization>', 'id or name']],
  summary: 'make a link with which a Zoom admin connects Zoom for an organization',
  details: `Makes a connect link: good for 14 days and one connection, sent to whoever administers the organization's Zoom.
The link is shown once; only its hash is stored. Owners of the organization are told that an operator made it.`,
  examples: ['connect-link Northwind --reason "ticket 4711"', 'connect-link 6f9f… --reason "ticket 4711" --json'],
  options: writingOptions(),
  async action(context) {
    const { print, args, open } = context;
    const asker = await askWhy(context);
    const { db, publicUrl } = await open();
    const organization = await findOrganization(db, args[0] as string);
    const link = await createConnectLink(db, { organizationId: organization.id, asker });
    const url = linkUrl(publicUrl, link.token);
    print.answer(
      {
        organizationId: organization.id,
        linkId: link.linkId,
        connectionId: link.connectionId,
        url,
        expiresAt: link.expiresAt,
      },
      () => url,
    );
    print.note(
      `Send it to the Zoom admin of ${organization.name}. Valid until ${link.expiresAt.toISOString()}; shown only now.`,
    );
    print.note(`Then: zoom-steward status ${organization.id}`);
  },
});
