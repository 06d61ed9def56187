import { equivalenceCommand } from '../equivalence-command.ts';

/** `mappings separate ORG DOMAIN SAME_AS (--preview | --apply)` */
export const mappingsSeparate = equivalenceCommand({
  name: 'separate',
  change: 'remove',
  summary: 'no longer say that two domains mean the same people',
  details: `Ends the mappings that followed from the pair, and nothing else. Where somebody loses a Zoom user it needs --confirm with the
organization's name, after --preview.`,
  examples: [
    'mappings separate Northwind northwind.example nw-group.example --preview',
    'mappings separate Northwind northwind.example nw-group.example --apply --confirm Northwind --reason "sold"',
  ],
  same: 'There was no such pair; nothing was changed.',
  undo: 'equate',
});
