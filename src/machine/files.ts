// Reading the kernel's text files below an injectable root, so that recorded trees of other machines can be read too.
// Imports only Node.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The file's text, or null where it is not there or cannot be read: on a kernel either means "not known". */
export function readKernelFile(root: string, path: string): string | null {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch {
    return null;
  }
}

/** The ids of a kernel list such as "0-3,8"; an empty array for an empty or malformed list. */
export function parseIdList(list: string): number[] {
  return list
    .trim()
    .split(",")
    .flatMap((range) => {
      const match = /^(\d+)(?:-(\d+))?$/.exec(range.trim());
      if (match === null) return [];
      const first = Number(match[1]);
      const last = Number(match[2] ?? first);
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, offset) => first + offset);
    });
}

/** The lines `key<separator>value` of a kernel file, trimmed; a later line of the same key wins. */
export function parseFields(text: string, separator: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf(separator);
    if (at > 0) fields.set(line.slice(0, at).trim(), line.slice(at + separator.length).trim());
  }
  return fields;
}

/** An amount that /proc/meminfo or /proc/self/status gives as "123 kB", in bytes; null where there is no such line. */
export function fieldBytes(fields: ReadonlyMap<string, string>, name: string): number | null {
  const match = /^(\d+) kB$/.exec(fields.get(name) ?? "");
  return match === null ? null : Number(match[1]) * 1024;
}
