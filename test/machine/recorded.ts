// Recorded machines: each file of recorded/ holds the /proc and /sys files that the readers look at, in the form in
// which `tail -n +1 FILE…` prints several files. x86-64-vm is a real recording; the others are written in the kernel's
// form from what such machines are known to show.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { testFolder } from "../support/temporary-folder.ts";

export type RecordedMachine =
  "axion" | "cgroup-v1-container" | "cgroup-v2-nested" | "raspberry-pi-5" | "rk3588" | "x86-64-smt" | "x86-64-vm";

/**
 * Lays a recorded machine out below a folder that lives as long as the test, and returns that root; `changes` replaces or
 * adds files, null takes one away.
 */
export function layOut(name: RecordedMachine, changes: Readonly<Record<string, string | null>> = {}): string {
  const text = readFileSync(new URL(`recorded/${name}.txt`, import.meta.url), "utf8");
  const recorded = text
    .split(/^==> /m)
    .slice(1)
    .map((part): [string, string] => {
      const [path = "", ...lines] = part.split("\n");
      return [path.replace(/ <==$/, ""), lines.join("\n").trimEnd()];
    });
  const root = testFolder();
  for (const [path, content] of Object.entries({ ...Object.fromEntries(recorded), ...changes })) {
    if (content === null) continue;
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${content}\n`);
  }
  return root;
}
