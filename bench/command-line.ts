// The benchmarks' arguments: what is allowed, what is the default, what a wrong one is told. Pure. May import neighbours
// for their types and names, and src/core.
import { parseArgs } from "node:util";
import { parseBytes } from "../src/core/bytes.ts";
import type { Quantisation } from "../tools/synthesize/tensors.ts";
import { quantisations } from "../tools/synthesize/tensors.ts";
import { type Order, orders } from "./statistics.ts";

export const help = `Benchmarks of the built server, over HTTP, with real-shaped models.

usage: npm run bench -- swap  [options]   experts that do not fit together, asked in turn: memory against the budget
       npm run bench -- batch [options]   A B A B against A A B B for two experts that do not fit together: throughput

  --models FILE,FILE    GGUF files; default: five (batch: two) in the shapes of the real experts, generated weights
  --folder FOLDER       where those are, or are written when missing: 14 GB for five in q4_0. Default .cache/bench-models
  --quant QUANT         of the written ones: ${quantisations.join(", ")}. Default q4_0
  --budget AMOUNT       the server's ram_budget. Default 8GiB; batch: 3GiB
  --context N           tokens of each expert's context. Default 4096
  --requests N          swap: in all, default 40; batch: for each of the two, default 8
  --prompt-words N      length of each prompt. Default 16
  --max-tokens N        length of each answer. Default 8; batch: 16

swap:
  --order ORDER         ${orders.join(", ")} (the last two). Default round-robin
  --seed N              of the random order. Default 1
  --concurrency N       requests at a time. Default 2
batch:
  --pairs N             measurements of each order, taken by turns. Default 3

Samples the server's resident memory (anonymous, and pages of model files) every 50 ms.
Exit code: 0 held, 1 swap: more than 105 % of the budget was resident, or a request failed; batch: less than 75 %; 2 wrong
arguments.
`;

export interface BenchArguments {
  readonly mode: "swap" | "batch";
  /** Null: shaped like the real experts. */
  readonly models: readonly string[] | null;
  readonly folder: string;
  readonly quant: Quantisation;
  readonly budgetBytes: number;
  readonly contextTokens: number;
  readonly requests: number;
  readonly promptWords: number;
  readonly maxTokens: number;
  readonly order: Order;
  readonly seed: number;
  readonly concurrency: number;
  readonly pairs: number;
}

/** Wrong arguments; the message says what arrived and what is allowed. */
export class UsageError extends Error {}

export function readArguments(argv: readonly string[]): BenchArguments | "help" {
  const { values, positionals } = parse(argv);
  const [mode, ...others] = positionals;
  if (values.help === true || (mode === undefined && argv.length === 0)) return "help";
  if ((mode !== "swap" && mode !== "batch") || others.length > 0) {
    throw new UsageError(`${JSON.stringify(positionals.join(" "))} is no benchmark; there are swap and batch`);
  }
  const isSwap = mode === "swap";
  const budget = values.budget ?? (isSwap ? "8GiB" : "3GiB");
  const budgetBytes = parseBytes(budget);
  if (budgetBytes === undefined) throw wrong("budget", budget, 'an amount of memory such as "8GiB"');
  const models = values.models?.split(",").filter(Boolean) ?? null;
  if (models !== null && (models.length < 2 || (!isSwap && models.length !== 2))) {
    throw wrong("models", values.models, isSwap ? "at least two files" : "two files");
  }
  return {
    mode,
    models,
    folder: values.folder ?? ".cache/bench-models",
    quant: oneOf("quant", values.quant ?? "q4_0", quantisations),
    budgetBytes,
    contextTokens: wholeNumber("context", values.context ?? "4096", 64),
    requests: wholeNumber("requests", values.requests ?? (isSwap ? "40" : "8"), 1),
    promptWords: wholeNumber("prompt-words", values["prompt-words"] ?? "16", 1),
    maxTokens: wholeNumber("max-tokens", values["max-tokens"] ?? (isSwap ? "8" : "16"), 1),
    order: oneOf("order", values.order ?? "round-robin", orders),
    seed: wholeNumber("seed", values.seed ?? "1", 0),
    concurrency: wholeNumber("concurrency", values.concurrency ?? "2", 1),
    pairs: wholeNumber("pairs", values.pairs ?? "3", 1),
  };
}

function parse(argv: readonly string[]) {
  const text = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        models: text,
        folder: text,
        quant: text,
        budget: text,
        context: text,
        requests: text,
        "prompt-words": text,
        "max-tokens": text,
        order: text,
        seed: text,
        concurrency: text,
        pairs: text,
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new UsageError((error instanceof Error ? error.message : String(error)).split(". ")[0]);
  }
}

function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw wrong(name, text, `a whole number of at least ${least}`);
}

function oneOf<T extends string>(name: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === text);
  if (found !== undefined) return found;
  throw wrong(name, text, `one of ${allowed.join(", ")}`);
}

function wrong(name: string, received: string | undefined, allowed: string): UsageError {
  return new UsageError(`--${name} is ${JSON.stringify(received)}; allowed: ${allowed}`);
}
