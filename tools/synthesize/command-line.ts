// The command line of the synthesizer: arguments, help, progress, exit codes. Knows no process: streams come in.
// May import core/ and this folder's synthesize.ts, presets.ts and tensors.ts.
import { parseArgs } from "node:util";
import { formatBytes } from "../../src/core/bytes.ts";
import { isPresetName, presets, type PresetName } from "./presets.ts";
import { countParameters, hasStableWeights, synthesize, SynthesisError, weightBytes } from "./synthesize.ts";
import { quantisations, type Quantisation } from "./tensors.ts";

const presetNames = Object.keys(presets) as PresetName[];

const help = `Writes a valid GGUF model file with generated weights, in the shape of a real model: for tests and benchmarks.

usage: npm run synthesize -- --like PRESET --quant QUANT --out FILE [--seed N] [--stable]

  --like PRESET   whose shape, vocabulary size, special tokens and chat template: see --list
  --quant QUANT   ${quantisations.join(", ")}. Rows that the format does not divide fall back for that tensor as in
                  llama-quantize (q4_k to q5_0, q6_k to q8_0); the output head (or the embedding that serves as one)
                  is q6_k, or q8_0 where its rows are not a multiple of the asked format's block or of 256
  --out FILE      written beside it under a temporary name, then renamed; an existing file is replaced
  --seed N        a whole number, default 0: equal seeds give equal bytes
  --stable        weights whose best token wins by a wide margin on every CPU and in every quantisation, and depends on
                  the last two tokens; tiny text presets only
  --list          the presets with their sizes
  --help          this text

example: npm run synthesize -- --like qwen2.5-0.5b --quant q4_0 --out models/qwen-shape.gguf

Exit code: 0 written, 1 the file could not be written, 2 wrong arguments.
`;

/** Wrong arguments; the message says what arrived and what is allowed. */
class UsageError extends Error {}

function readArguments(argv: readonly string[]): ReturnType<typeof checkArguments> | "help" | "list" {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        like: { type: "string" },
        quant: { type: "string" },
        out: { type: "string" },
        seed: { type: "string", default: "0" },
        stable: { type: "boolean", default: false },
        list: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    throw new UsageError((error instanceof Error ? error.message : String(error)).split(". ")[0]);
  }
  if (values.help) return "help";
  if (values.list) return "list";
  return checkArguments(values);
}

function checkArguments(values: {
  readonly like?: string | undefined;
  readonly quant?: string | undefined;
  readonly out?: string | undefined;
  readonly seed: string;
  readonly stable: boolean;
}): { like: PresetName; quant: Quantisation; out: string; seed: number; stable: boolean } {
  const { like, quant, out, stable } = values;
  const arrived = (value: string | undefined): string => (value === undefined ? "missing" : JSON.stringify(value));
  if (like === undefined || !isPresetName(like)) {
    throw new UsageError(`--like is ${arrived(like)}; known presets: ${presetNames.join(", ")}`);
  }
  const quantisation = quantisations.find((known) => known === quant?.toLowerCase());
  if (quantisation === undefined) {
    throw new UsageError(`--quant is ${arrived(quant)}; known quantisations: ${quantisations.join(", ")}`);
  }
  if (out === undefined || out === "")
    throw new UsageError(`--out is ${arrived(out)}; give the path of the file to write`);
  const seed = Number(values.seed);
  if (values.seed.trim() === "" || !Number.isSafeInteger(seed)) {
    throw new UsageError(`--seed is ${arrived(values.seed)}; give a whole number`);
  }
  if (stable && !hasStableWeights(like)) {
    throw new UsageError(
      `--stable does not go with ${like}; it exists for ${presetNames.filter(hasStableWeights).join(", ")}`,
    );
  }
  return { like, quant: quantisation, out, seed, stable };
}

function list(): string {
  const rows = presetNames.map((name) => {
    const shape = presets[name];
    const sizes = quantisations.map((quant) => `${quant} ${formatBytes(weightBytes(shape, quant))}`).join(", ");
    const millions = (countParameters(shape) / 1e6).toFixed(0).padStart(5);
    return `${name.padEnd(15)} ${shape.architecture.padEnd(10)}${millions} M parameters: ${sizes}`;
  });
  return `${rows.join("\n")}\n`;
}

/** Where output goes; process.stdout and process.stderr will do. */
export interface OutputStreams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
}

/** Draws at most ten times a second, and only for a person. */
function progressBar(stderr: OutputStreams["stderr"], label: string): (written: number, total: number) => void {
  let drawnAtMs = 0;
  return (writtenBytes, totalBytes) => {
    const nowMs = performance.now();
    if (stderr.isTTY !== true || (nowMs - drawnAtMs < 100 && writtenBytes < totalBytes)) return;
    drawnAtMs = nowMs;
    const share = writtenBytes / totalBytes;
    const bar = "#".repeat(Math.round(share * 30)).padEnd(30, ".");
    const end = writtenBytes === totalBytes ? "\n" : "";
    stderr.write(`\r${label} [${bar}] ${(share * 100).toFixed(0)} % of ${formatBytes(totalBytes)}${end}`);
  };
}

/** Returns the exit code: 0 done, 1 the file could not be written, 2 wrong arguments. Other errors are bugs: thrown. */
export async function runCommandLine(
  argv: readonly string[],
  { stdout, stderr }: OutputStreams,
  signal: AbortSignal,
): Promise<0 | 1 | 2> {
  try {
    const wanted = readArguments(argv);
    if (wanted === "help" || wanted === "list") {
      stdout.write(wanted === "help" ? help : list());
      return 0;
    }
    const startedMs = performance.now();
    const bytes = await synthesize({ ...wanted, signal, onProgress: progressBar(stderr, wanted.like) });
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    stdout.write(`${wanted.out}: ${wanted.like} ${wanted.quant}, ${formatBytes(bytes)} in ${seconds} s\n`);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      stderr.write(`synthesize: ${error.message} (--help explains)\n`);
      return 2;
    }
    if (error instanceof SynthesisError) {
      stderr.write(`synthesize: ${error.message}\n`);
      return 1;
    }
    if (signal.aborted) {
      stderr.write(`${stderr.isTTY === true ? "\n" : ""}synthesize: stopped; nothing was written\n`);
      return 1;
    }
    throw error;
  }
}
