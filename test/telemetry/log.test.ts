// The log as a machine and as a person reads it.
import { describe, expect, it } from "vitest";
import type { LogLevel } from "../../src/core/log.ts";
import { createLogger } from "../../src/telemetry/log.ts";

function logTo(isTTY: boolean, level: LogLevel = "info") {
  const lines: string[] = [];
  return { lines, log: createLogger(level, { isTTY, write: (line) => lines.push(line) }) };
}

describe("the log", () => {
  it("writes JSON lines for machines", () => {
    const { log, lines } = logTo(false);
    log.info({ expert: "a", ms: 5 }, "loaded");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/\n$/);
    expect(JSON.parse(lines[0] ?? "")).toEqual({
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string,
      expert: "a",
      ms: 5,
      msg: "loaded",
    });
  });

  it("writes one readable line for people", () => {
    const { log, lines } = logTo(true);
    log.info({ expert: "a", ms: 5, why: "it said so", list: [1, "x"] }, "loaded");
    expect(lines).toEqual([
      expect.stringMatching(/^\d\d:\d\d:\d\d INFO {2}loaded expert=a ms=5 why="it said so" list=\[1,"x"\]\n$/),
    ]);
  });

  it("lets no text that came from outside forge a line or drive the terminal", () => {
    const { log, lines } = logTo(true);
    log.info({ path: "/x\n12:00:00 INFO all is well \u001B[2J" }, "request");
    expect(lines[0]?.split("\n")).toHaveLength(2);
    expect(lines[0]).not.toContain("\u001B[2J");
  });

  it("shows an error's stack", () => {
    const { log, lines } = logTo(true);
    log.error({ err: new Error("broken") }, "failed");
    expect(lines[0]).toMatch(/failed\nError: broken\n\s+at /);
  });

  it.each([
    ["debug", ["debug", "info", "warn", "error"]],
    ["warn", ["warn", "error"]],
    ["silent", []],
  ] as const)("at level %s passes %j", (level, passed) => {
    const { log, lines } = logTo(false, level);
    for (const method of ["debug", "info", "warn", "error"] as const) log[method]({}, method);
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(passed);
  });
});
