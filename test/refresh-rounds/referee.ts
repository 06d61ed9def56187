import type { Fate } from './fates.ts';

/** What a round came to. Durations by the virtual clock, in milliseconds since the fate struck; null: never. */
export type Played = {
  /** false: neither a usable pair nor a death within forty minutes */
  readonly ended: boolean;
  readonly state: string;
  readonly deadReason: string | null;
  /** how often Zoom rotated, by its ledger, and how many of these pairs we stored */
  readonly rotations: number;
  readonly rotationsHeld: number;
  /** Zoom took the token that we hold: from ourselves for a living grant, asked on purpose for a dead one */
  readonly zoomTakesOurs: boolean;
  readonly suspectAfterMs: number | null;
  readonly deadAfterMs: number | null;
  /** of the simulator's judge */
  readonly findings: readonly string[];
};

const noticedWithinMs = 2 * 60_000;
/** ten minutes, and a tick that finds it */
const declaredWithinMs = 10 * 60_000 + 15_000;

/** What is wrong with how a round ended, by the ledger and lifecycle §3; empty: nothing. Pure. */
export function judgeRound({ expected }: Pick<Fate, 'expected'>, played: Played): string[] {
  const { state, deadReason, suspectAfterMs, deadAfterMs } = played;
  const wrong = [...played.findings];
  const end = deadReason === null ? state : `${state} (${deadReason})`;
  const isLost = played.rotations > played.rotationsHeld;
  const lives = (): unknown => state !== 'living' && wrong.push(`expected that the grant lives, it is ${end}`);
  const named = (reason: string): unknown =>
    deadReason !== reason && wrong.push(`expected dead (${reason}), it is ${end}`);
  if (!played.ended) wrong.push(`came to no end, it is ${end}`);
  if (state !== 'living' && played.zoomTakesOurs)
    wrong.push('declared dead although Zoom takes the token that we hold');
  if (expected !== 'revoked' && deadReason === 'revoked') wrong.push('our own loss is named revoked');
  switch (expected) {
    case 'survives':
      lives();
      break;
    case 'impossible':
    case 'unsaid':
      // A Zoom that keeps the refresh token takes nothing away with its answer.
      if (isLost) named('refresh_lost');
      else lives();
      if (expected === 'impossible' && !isLost && played.rotations > 0) wrong.push('nothing was lost');
      break;
    case 'reuse':
      if (state !== 'living') named('refresh_lost');
      break;
    case 'revoked':
      named('revoked');
      break;
    case 'doubted':
      named('refresh_lost');
      break;
    default:
      expected satisfies never;
  }
  if (isLost && (suspectAfterMs === null || suspectAfterMs > noticedWithinMs))
    wrong.push(`noticed after ${suspectAfterMs} ms`);
  if (isLost && suspectAfterMs !== null && deadAfterMs !== null && deadAfterMs - suspectAfterMs > declaredWithinMs)
    wrong.push(`declared ${deadAfterMs - suspectAfterMs} ms after it was noticed`);
  return wrong;
}
