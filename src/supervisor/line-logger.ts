// The supervisor's log: the same lines as the application's, written without the library that makes those, which alone would
// add a sixth to this process's memory. May import core/ and Node.
import { writeSync } from "node:fs";
import type { AdjustableLogger, LogLevel } from "../core/log.ts";
import { readableLine } from "../core/log-line.ts";

const order: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];

export class LineLogger implements AdjustableLogger {
  #level: LogLevel = "info";
  readonly #write: (line: string) => void;

  /** Default: standard output, readable lines where it is a terminal. */
  constructor(write: (line: string) => void = toStandardOutput) {
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

function toStandardOutput(line: string): void {
  try {
    writeSync(process.stdout.fd, process.stdout.isTTY ? readableLine(line) : line);
  } catch {
    // A reader that closed the pipe, or does not keep up, must not end the supervisor.
  }
}
