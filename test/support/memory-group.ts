// A memory control group for one test: version 1, or 2 where its controllers may be handed on. Needs root.
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";

const version1 = "/sys/fs/cgroup/memory";
const version2 = "/sys/fs/cgroup";

export interface MemoryGroup {
  readonly name: string;
  readonly folder: string;
  /** The start of a command line that runs the rest of it in the group. */
  readonly launcher: readonly [string, ...string[]];
  /** What the kernel killed in it for want of memory; null where it does not count. */
  outOfMemoryKills(): number | null;
}

let count = 0;

/** Lives as long as the test, whose processes in it must have ended before it does. */
export function memoryGroup(limitBytes: number): MemoryGroup {
  const base = usableBase();
  if (typeof base === "string") throw new Error(base);
  count += 1;
  const name = `gguf-experts-test-${process.pid}-${count}`;
  const folder = join(base.folder, name);
  mkdirSync(folder);
  onTestFinished(() => rmdirSync(folder));
  writeFileSync(join(folder, base.version === 1 ? "memory.limit_in_bytes" : "memory.max"), String(limitBytes));
  const kills = join(folder, base.version === 1 ? "memory.oom_control" : "memory.events");
  return {
    name,
    folder,
    launcher: ["/bin/sh", "-c", `echo $$ > ${join(folder, "cgroup.procs")} && exec "$@"`, "sh"],
    outOfMemoryKills: () => {
      const match = /^oom_kill (\d+)$/m.exec(readFileSync(kills, "utf8"));
      return match === null ? null : Number(match[1]);
    },
  };
}

/** Why no group can be made here; null: one can. */
export function whyNoMemoryGroup(): string | null {
  const base = usableBase();
  return typeof base === "string" ? base : null;
}

function usableBase(): { readonly version: 1 | 2; readonly folder: string } | string {
  const probe = `gguf-experts-probe-${process.pid}`;
  for (const [version, folder, file] of [
    [1, version1, "memory.limit_in_bytes"],
    [2, version2, "memory.max"],
  ] as const) {
    try {
      mkdirSync(join(folder, probe));
    } catch {
      continue;
    }
    try {
      readFileSync(join(folder, probe, file));
      return { version, folder };
    } catch {
      // Version 2 whose memory controller is not handed on to groups here.
    } finally {
      rmdirSync(join(folder, probe));
    }
  }
  return "no memory control group can be made here: that takes root and a writable /sys/fs/cgroup";
}
