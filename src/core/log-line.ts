// Log lines on their way out: JSON for machines, readable ones where a person looks on. Imports only Node.
import { writeSync } from "node:fs";

export interface LogOutput {
  readonly isTTY?: boolean;
  write(line: string): unknown;
}

/** Takes JSON lines; a terminal gets readable ones. Default: standard output, written at once. */
export function lineWriter(output: LogOutput = standardOutput): (json: string) => void {
  return (json) => void output.write(output.isTTY === true ? readableLine(json) : json);
}

const standardOutput: LogOutput = {
  get isTTY() {
    return process.stdout.isTTY;
  },
  write(line) {
    try {
      writeSync(1, line);
    } catch {
      // A full disk, or a reader that closed the pipe, costs the line and not the process.
    }
  },
};

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
