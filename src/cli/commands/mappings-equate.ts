import { equivalenceCommand } from '../equivalence-command.ts';

/** `mappings equate ORG DOMAIN SAME_AS (--preview | --apply)` */
export const mappingsEquate = equivalenceCommand({
  name: 'equate',
  change: 'add',
  summary: 'say that two domains mean the same people',
  details: `A member whom nobody mapped, and at whose verified address Zoom has nobody, then hosts as the Zoom user with the same name at
the other domain, if it is one member and one Zoom user. Each domain must be a verified one of the organization, or one at
which its Zoom account has users. Needs STEWARD_KEYS: of users who match nobody there are only hashes.`,
  examples: [
    'mappings equate Northwind northwind.example nw-group.example --preview',
    'mappings equate Northwind northwind.example nw-group.example --apply --reason "merged, ticket 4711"',
  ],
  same: 'They meant the same people already.',
  undo: 'separate',
});
