// The log: JSON lines for machines, one readable line each where a person looks on. The only importer of pino.
// May import core/.
import { destination, pino, stdTimeFunctions } from "pino";
import type { AdjustableLogger, LogLevel } from "../core/log.ts";
import { readableLine } from "../core/log-line.ts";

/** Where lines go: a terminal gets readable ones. */
export interface LogOutput {
  readonly isTTY?: boolean;
  write(line: string): unknown;
}

/** Logs to `output`; absent: to the process's standard output. */
export function createLogger(level: LogLevel, output?: LogOutput): AdjustableLogger {
  const terminal = output ?? process.stdout;
  const lines =
    terminal.isTTY === true
      ? { write: (line: string) => terminal.write(readableLine(line)) }
      : // Writes at once, and a reader that closed the pipe does not end the process.
        (output ?? destination({ dest: 1, sync: true }));
  const log = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    lines,
  );
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    setLevel: (newLevel) => {
      log.level = newLevel;
    },
  };
}
