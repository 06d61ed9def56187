import { resolveMember } from '../../reconciliation/resolve-member.ts';
import { defineCommand } from '../define-command.ts';
import { findMember, findStoredResult, readMemberFacts } from '../reads/member-explanation.ts';
import { listRuns } from '../reads/run-rows.ts';
import { hostingText, reasonText } from '../texts/rule-text.ts';

const shownRuns = 3;
const zoomTypes: Readonly<Record<number, string>> = { 1: 'basic', 2: 'licensed', 4: 'unassigned', 99: 'none' };

/** `explain MEMBER` */
export const explain = defineCommand({
  name: 'explain',
  args: [['<member>', 'id or e-mail address']],
  summary: 'which rule decided about a member, from which facts, and which run stored it',
  details: `Decides about the member now, from live facts, and says why. No worker is needed for it.`,
  examples: ['explain 0a1b2c3d-…', 'explain jo@example.com --json'],
  async action({ args, print, open }) {
    const { db } = await open();
    const member = await findMember(db, args[0] as string);
    const [resolved, facts, stored, runs] = await Promise.all([
      resolveMember(db, member.id),
      readMemberFacts(db, member),
      findStoredResult(db, member),
      listRuns(db, { targetId: member.id, limit: shownRuns }),
    ]);
    const current =
      stored !== undefined &&
      stored.effective === resolved.effective &&
      stored.reason === resolved.reason &&
      stored.hosting === resolved.hosting;
    const data = {
      member,
      ...resolved,
      rule: reasonText[resolved.reason],
      facts: facts ?? null,
      stored: stored ?? null,
      storedIsCurrent: current,
      runs,
    };
    print.answer(data, () => {
      const lines = [
        print.bold(
          `${member.name}: ${resolved.effective === 'none' ? 'nothing serves them' : `served by ${resolved.effective === 'personal' ? 'their personal Zoom' : "the organization's Zoom"}`}; ${hostingText[resolved.hosting] ?? resolved.hosting}`,
        ),
        '',
        `because      ${reasonText[resolved.reason] ?? resolved.reason}`,
        `organization ${member.organization ?? '(gone)'} ${member.organizationId}, connection ${resolved.organizationState}${resolved.atRisk ? ' (at risk)' : ''}, generation ${resolved.generation}`,
      ];
      if (facts) {
        lines.push(
          `facts        active ${facts.active}, in rollout ${facts.inRollout}, opted out ${facts.optedOut}, personal Zoom ${facts.personal}`,
        );
        lines.push(
          `match        ${facts.match}${facts.zoomStatus === null ? '' : `, Zoom user ${resolved.zoomUserId ?? ''} ${facts.zoomStatus}, ${zoomTypes[facts.zoomType ?? -1] ?? `type ${facts.zoomType}`}`}`,
        );
      }
      if (!stored) lines.push('stored       nothing yet; lists and counts follow with the next run');
      else
        lines.push(
          `stored       ${current ? 'the same' : `${stored.effective}, ${stored.hosting} (${stored.reason}): a run is owed`}, since ${stored.changedAt.toISOString()}${stored.runId ? ` by run ${stored.runId}` : ''}`,
        );
      for (const run of runs)
        lines.push(`run          ${run.id} ${run.state}, ${run.cause} by ${run.actor}, ${run.createdAt.toISOString()}`);
      return lines.join('\n');
    });
  },
});
