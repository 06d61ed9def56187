import { confirm } from './commands/confirm.ts';
import { connectLink } from './commands/connect-link.ts';
import { deadLetters } from './commands/dead-letters.ts';
import { demo } from './commands/demo.ts';
import { dev } from './commands/dev.ts';
import { directory } from './commands/directory.ts';
import { disconnect } from './commands/disconnect.ts';
import { disconnectPersonalCommand } from './commands/disconnect-personal.ts';
import { doctor } from './commands/doctor.ts';
import { explain } from './commands/explain.ts';
import { extendDeadlineCommand } from './commands/extend-deadline.ts';
import { importCommand } from './commands/import.ts';
import { keys } from './commands/keys.ts';
import { mappings } from './commands/mappings.ts';
import { members } from './commands/members.ts';
import { migrate } from './commands/migrate.ts';
import { oneTimeRun } from './commands/one-time-run.ts';
import { pause } from './commands/pause.ts';
import { prune } from './commands/prune.ts';
import { queues } from './commands/queues.ts';
import { reconcile } from './commands/reconcile.ts';
import { restore } from './commands/restore.ts';
import { resume } from './commands/resume.ts';
import { runs } from './commands/runs.ts';
import { server } from './commands/server.ts';
import { serviceKey } from './commands/service-key.ts';
import { settings } from './commands/settings.ts';
import { status } from './commands/status.ts';
import { undoDisconnectCommand } from './commands/undo-disconnect.ts';
import { vault } from './commands/vault.ts';
import { verify } from './commands/verify.ts';
import { worker } from './commands/worker.ts';
import { zoomProbe } from './commands/zoom-probe.ts';
import { zoomSimulator } from './commands/zoom-simulator.ts';
import type { CommandFactory } from './define-command.ts';

/** Every command, in the order in which help shows them. */
export const commands: readonly CommandFactory[] = [
  demo,
  dev,
  migrate,
  worker,
  server,
  status,
  doctor,
  members,
  explain,
  mappings,
  directory,
  importCommand,
  connectLink,
  confirm,
  verify,
  settings,
  oneTimeRun,
  disconnect,
  undoDisconnectCommand,
  extendDeadlineCommand,
  disconnectPersonalCommand,
  restore,
  reconcile,
  runs,
  deadLetters,
  queues,
  pause,
  resume,
  prune,
  keys,
  vault,
  serviceKey,
  zoomSimulator,
  zoomProbe,
];
