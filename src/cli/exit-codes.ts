/** What the exit code of a command says; `--help` of every command repeats it. */
export const exitCodes = {
  /** done, or nothing to do */
  ok: 0,
  /** failed; the message says what was expected, what came and what to do */
  error: 1,
  /** unknown command, flag or argument (`reconcile` answers 1 instead: there 2 means changes) */
  usage: 2,
  /** only `reconcile --plan`: there are changes */
  changes: 2,
  /** understood and refused: a confirmation or reason is missing, the preview is stale, a guard holds */
  refused: 3,
  /** ended by a signal */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Codes of StewardError that mean "understood and refused". */
export const refusals: ReadonlySet<string> = new Set([
  'confirmation_missing',
  'reason_missing',
  'forbidden',
  'name_mismatch',
  'stale_preview',
  'removals_above_limit',
  'verified_recently',
  'nothing_to_undo',
  'not_automatic',
  'undo_too_late',
  'grant_dead',
  'workers_alive',
  'refresher_not_stopped',
  'setting_off',
  'connection_not_active',
  'observed_only',
  'one_time_run_open',
]);
