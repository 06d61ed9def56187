import { parseKeyRing } from '../../config.ts';
import { readKeyUse } from '../../grants/key-use.ts';
import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { textTable, thousands } from '../text-table.ts';

/** `keys status` */
export const keysStatus = defineCommand({
  name: 'status',
  summary: 'which key seals how many rows, and what is left to rotate',
  details: `Shows every key of STEWARD_KEYS and every key that seals something. A key may be taken away when it seals nothing. Fails
when a key in use is missing: workers refuse to start then.`,
  examples: ['keys status', 'keys status --json'],
  async action({ io, open, print }) {
    const { ring, activeId } = parseKeyRing(io.env);
    const { db } = await open();
    const used = await readKeyUse(db);
    const ids = [...new Set([...ring.map(({ id }) => id), ...used.map(({ keyId }) => keyId)])];
    const keys = ids.map((id) => {
      const { grants, candidates, attempts } = used.find(({ keyId }) => keyId === id) ?? {
        grants: 0,
        candidates: 0,
        attempts: 0,
      };
      const known = ring.some((key) => key.id === id);
      const state = id === activeId ? 'active' : known ? 'opens' : 'missing';
      return { id, state, grants, consents: candidates + attempts };
    });
    const left = keys
      .filter(({ state }) => state !== 'active')
      .reduce((sum, { grants, consents }) => sum + grants + consents, 0);
    const missing = keys.filter(({ state }) => state === 'missing').map(({ id }) => id);
    print.answer({ active: activeId, left, missing, keys }, () =>
      textTable(
        ['key', 'state', 'grants', 'consents under way'],
        keys.map(({ id, state, grants, consents }) => [id, state, thousands(grants), thousands(consents)]),
      ),
    );
    if (left > 0) print.note(`${thousands(left)} rows left to rotate: zoom-steward keys rotate`);
    if (missing.length === 0) return exitCodes.ok;
    print.note(`Missing: ${missing.join(', ')}. Put it back; if it is lost for good: zoom-steward keys abandon KEY`);
    return exitCodes.error;
  },
});
