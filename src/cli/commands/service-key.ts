import { Option } from 'commander';
import { insertAudit } from '../../db/audit-repository.ts';
import { StewardError } from '../../errors.ts';
import { type Capability, capabilities, createServiceKey } from '../../http/service-keys.ts';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';

type Options = WritingOptions & { readonly allow: readonly Capability[]; readonly organization?: string };

/** `service-key NAME` */
export const serviceKey = defineCommand<Options>({
  name: 'service-key',
  args: [['<name>', 'what the key is for']],
  summary: 'make a key with which the main app calls the API',
  details: `Makes a service key with the capabilities named. It is shown once; only its hash is stored.`,
  examples: [
    'service-key "main app" --allow facts:write connections:read meetings:write act-as --reason "first installation"',
  ],
  options: [
    new Option('--allow <capability...>', 'what it may do').choices(capabilities).default([]),
    new Option('--organization <organization>', 'only for this one (id or name)'),
    ...writingOptions(),
  ],
  async action(context) {
    const { args, options, print, open } = context;
    const name = args[0] as string;
    if (options.allow.length === 0)
      throw new StewardError('usage', `Expected --allow with at least one of ${capabilities.join(', ')}, got none.`);
    const { operator, reason } = await askWhy(context);
    const { db } = await open();
    const organization =
      options.organization === undefined ? undefined : await findOrganization(db, options.organization);
    const made = await db.transaction().execute(async (trx) => {
      const key = await createServiceKey(trx, {
        name,
        capabilities: options.allow,
        ...(organization ? { organizationId: organization.id } : {}),
      });
      const data = { name, capabilities: options.allow };
      await insertAudit(trx, {
        organizationId: organization?.id ?? null,
        actor: `operator:${operator}`,
        action: 'service_key.made',
        reason,
        subjectId: key.id,
        data,
      });
      return key;
    });
    print.answer({ ...made, name, capabilities: options.allow, organization: organization ?? null }, () => made.key);
    print.note(
      `Shown only now. To withdraw it: update steward.api_keys set revoked_at = now() where id = '${made.id}'`,
    );
  },
});
