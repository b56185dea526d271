// The log. The only importer of pino.
// May import core/.
import { pino, stdTimeFunctions } from "pino";
import type { AdjustableLogger, LogLevel } from "../core/log.ts";
import { lineWriter, type LogOutput } from "../core/log-line.ts";

/** Logs to `output`; absent: to the process's standard output. */
export function createLogger(level: LogLevel, output?: LogOutput): AdjustableLogger {
  const log = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: lineWriter(output) },
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
