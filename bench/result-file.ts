// A run of the suite as a JSON file: all samples, and on what they were taken. May import comparison.ts and environment.ts
// (types), and zod.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { format } from "prettier";
import { z } from "zod";
import type { Comparison } from "./comparison.ts";
import type { BenchEnvironment } from "./environment.ts";

const rounds = z.array(z.array(z.number()));

const comparison = z.object({
  title: z.string(),
  unit: z.enum(["tokens/s", "requests/s", "bytes/s", "ms", "bytes", "tokens", "answers"]),
  better: z.enum(["higher", "lower"]),
  ours: rounds,
  against: z.string(),
  other: rounds,
  target: z.number().nullable(),
}) satisfies z.ZodType<Comparison>;

const environment = z.object({
  cpu: z.string(),
  architecture: z.string(),
  logicalCores: z.number(),
  physicalCores: z.number(),
  threads: z.number(),
  memoryBytes: z.number(),
  governor: z.string().nullable(),
  kernel: z.string(),
  loadAverage: z.number(),
  commit: z.string().nullable(),
  node: z.string(),
  nodeLlamaCpp: z.string(),
  llamaCpp: z.string(),
}) satisfies z.ZodType<BenchEnvironment>;

export interface SuiteResult {
  /** ISO 8601. */
  readonly startedAt: string;
  readonly seconds: number;
  readonly arguments: readonly string[];
  readonly rounds: number;
  readonly isQuick: boolean;
  /** The measured file. */
  readonly model: { readonly file: string; readonly sizeBytes: number };
  /** Null where no workload asked for it. */
  readonly peer: { readonly version: string; readonly hasSameKernels: boolean } | null;
  readonly environment: BenchEnvironment;
  readonly workloads: readonly WorkloadResult[];
}

export interface WorkloadResult {
  readonly name: string;
  readonly seconds: number;
  readonly comparisons: readonly Comparison[];
  /** Why there are none. */
  readonly error: string | null;
}

const suiteResult = z.object({
  startedAt: z.string(),
  seconds: z.number(),
  arguments: z.array(z.string()),
  rounds: z.number(),
  isQuick: z.boolean(),
  model: z.object({ file: z.string(), sizeBytes: z.number() }),
  peer: z.object({ version: z.string(), hasSameKernels: z.boolean() }).nullable(),
  environment,
  workloads: z.array(
    z.object({
      name: z.string(),
      seconds: z.number(),
      comparisons: z.array(comparison),
      error: z.string().nullable(),
    }),
  ),
}) satisfies z.ZodType<SuiteResult>;

/** `2026-11-21-amd-epyc-1a2b3c4.json`: day, processor, commit. */
export function resultFileName({ startedAt, environment: { cpu, commit } }: SuiteResult): string {
  const processor = cpu
    .replaceAll(/\((R|TM)\)|CPU|Processor|@.*$/gi, "")
    .replaceAll(/[^A-Za-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "")
    .toLowerCase();
  return `${[startedAt.slice(0, 10), processor, commit ?? "no-commit"].join("-")}.json`;
}

export async function writeResult(path: string, result: SuiteResult): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await format(JSON.stringify(result), { parser: "json", printWidth: 120 }));
}

/** Throws an Error of one line for what is no result. */
export async function readResult(path: string): Promise<SuiteResult> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw new Error(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  });
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Error(`${path} is no JSON`);
  }
  const { data, error } = suiteResult.safeParse(body);
  if (data !== undefined) return data;
  const problem = error.issues[0];
  throw new Error(`${path} is no result of this bench: ${problem?.path.join(".")}: ${problem?.message}`);
}
