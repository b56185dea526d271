// What is known of a model file that was hashed once: a small JSON record beside it, valid as long as the file's size
// and time stay the same, so that gigabytes are not hashed again at every start. Imports nothing of the project.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { z } from "zod";

const recordSchema = z.object({
  size_bytes: z.int().nonnegative(),
  mtime_ms: z.number(),
  sha256: z.string(),
  /** Null: a file that the manifest does not know. */
  quantization: z.string().nullable(),
  /** Whose hash it was compared with; `nobody` where none was known. */
  verified_by: z.enum(["manifest", "server", "nobody"]),
});

export interface VerifiedFile {
  readonly sha256: string;
  readonly quantization: string | null;
  readonly verifiedBy: "manifest" | "server" | "nobody";
}

export function verifiedRecordPath(path: string): string {
  return `${path}.verified.json`;
}

/** The record of a file, or null where there is none or the file has changed since. */
export async function readVerifiedFile(path: string): Promise<VerifiedFile | null> {
  try {
    const [text, file] = await Promise.all([readFile(verifiedRecordPath(path), "utf8"), stat(path)]);
    const record = recordSchema.parse(JSON.parse(text));
    if (record.size_bytes !== file.size || record.mtime_ms !== file.mtimeMs) return null;
    return { sha256: record.sha256, quantization: record.quantization, verifiedBy: record.verified_by };
  } catch {
    return null;
  }
}

export async function writeVerifiedFile(path: string, verified: VerifiedFile): Promise<void> {
  const file = await stat(path);
  const record: z.infer<typeof recordSchema> = {
    size_bytes: file.size,
    mtime_ms: file.mtimeMs,
    sha256: verified.sha256,
    quantization: verified.quantization,
    verified_by: verified.verifiedBy,
  };
  const recordPath = verifiedRecordPath(path);
  const temporaryPath = `${recordPath}.${process.pid}`;
  await writeFile(temporaryPath, `${JSON.stringify(record)}\n`);
  await rename(temporaryPath, recordPath);
}

/** SHA-256 of a file in lower-case hexadecimal. Rejects with the signal's reason when it is aborted. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const stream = createReadStream(path, { highWaterMark: 2 ** 20, signal });
  for await (const chunk of stream as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest("hex");
}
