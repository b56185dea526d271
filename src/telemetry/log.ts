// The log: JSON lines for machines, one readable line each where a person looks on. The only importer of pino.
// May import core/.
import { destination, pino, stdTimeFunctions } from "pino";
import type { Logger } from "../core/log.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Where lines go: a terminal gets readable ones. */
export interface LogOutput {
  readonly isTTY?: boolean;
  write(line: string): unknown;
}

/** Logs to `output`; absent: to the process's standard output. */
export function createLogger(level: LogLevel, output?: LogOutput): Logger {
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
  };
}

const colours: Readonly<Record<string, string>> = { debug: "\u001B[2m", warn: "\u001B[33m", error: "\u001B[31m" };

/** A JSON log line as people read it: `11:04:05 WARN message key=value`. */
export function readableLine(json: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const label = String(level);
  const details = Object.entries(fields).map(([key, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `${key}=${/[\s"=\p{Cc}]/u.test(text) && typeof value === "string" ? JSON.stringify(text) : text}`;
  });
  const colour = colours[label] ?? "";
  const head = `${String(time).slice(11, 19)} ${colour}${label.toUpperCase().padEnd(5)}${colour === "" ? "" : "\u001B[0m"}`;
  const stack = typeof err === "object" && err !== null && "stack" in err ? `\n${String(err.stack)}` : "";
  return `${[head, typeof msg === "string" ? msg : "", ...details].join(" ")}${stack}\n`;
}
