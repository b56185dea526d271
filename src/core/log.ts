// The port through which every layer logs; telemetry/ implements it. Imports nothing.

export interface Logger {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface AdjustableLogger extends Logger {
  /** Less grave lines are dropped from now on. */
  setLevel(level: LogLevel): void;
}

const ignore = () => {};
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
