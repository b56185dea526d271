// The supervisor's log: the same lines as the application's, written without the library that makes those, which alone would
// add a sixth to this process's memory. May import core/.
import type { AdjustableLogger, LogLevel } from "../core/log.ts";
import { lineWriter } from "../core/log-line.ts";

const order: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];

export class LineLogger implements AdjustableLogger {
  #level: LogLevel = "info";
  readonly #write: (line: string) => void;

  /** Default: standard output, readable lines where it is a terminal. */
  constructor(write: (line: string) => void = lineWriter()) {
    this.#write = write;
  }

  debug = (fields: Readonly<Record<string, unknown>>, message: string) => this.#line("debug", fields, message);
  info = (fields: Readonly<Record<string, unknown>>, message: string) => this.#line("info", fields, message);
  warn = (fields: Readonly<Record<string, unknown>>, message: string) => this.#line("warn", fields, message);
  error = (fields: Readonly<Record<string, unknown>>, message: string) => this.#line("error", fields, message);

  setLevel(level: LogLevel): void {
    this.#level = level;
  }

  #line(level: LogLevel, fields: Readonly<Record<string, unknown>>, message: string): void {
    if (order.indexOf(level) < order.indexOf(this.#level)) return;
    this.#write(`${JSON.stringify({ level, time: new Date().toISOString(), ...fields, msg: message })}\n`);
  }
}
