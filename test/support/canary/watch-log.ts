import type { DestinationStream, LevelWithSilent } from 'pino';
import { pino } from 'pino';
import type { createLogger as CreateLogger } from '../../../src/logger.ts';
import { watch } from './watch.ts';

const places: Readonly<Record<string, number>> = { ...pino.levels.values, silent: Number.POSITIVE_INFINITY };

/** The same logger, of which everything is watched, also what its level leaves out. */
export function watchedLogger(createLogger: typeof CreateLogger): typeof CreateLogger {
  return ({ level, destination }) => {
    const to: DestinationStream = destination ?? pino.destination({ fd: 2, sync: true });
    const least = places[level satisfies LevelWithSilent] ?? 0;
    return createLogger({
      level: 'trace',
      destination: {
        write(line) {
          watch('log', line);
          const said = /^\{"level":"([a-z]+)"/.exec(line)?.[1] ?? '';
          if ((places[said] ?? Number.POSITIVE_INFINITY) >= least && least < Number.POSITIVE_INFINITY) to.write(line);
        },
      },
    });
  };
}
