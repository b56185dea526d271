// The benchmarks' arguments: what is allowed, what is the default, what a wrong one is told. Pure. May import neighbours
// for their types and names, and src/core.
import { parseArgs } from "node:util";
import { parseBytes } from "../src/core/bytes.ts";
import type { Quantisation } from "../tools/synthesize/tensors.ts";
import { quantisations } from "../tools/synthesize/tensors.ts";
import { type Order, orders } from "./statistics.ts";
import { workloads } from "./workloads/all.ts";
import type { Workload } from "./workloads/workload.ts";

const nameWidth = Math.max(...workloads.map(({ name }) => name.length));

export const help = `Benchmarks of the built server, over HTTP, against llama-server of the same llama.cpp with the same CPU kernels.

usage: npm run bench [-- OPTIONS]                  all workloads
       npm run bench -- WORKLOAD... [OPTIONS]      some of them
       npm run bench -- report FILE                a result file as table and picture into bench/README.md
       npm run bench -- swap  [OPTIONS]            experts that do not fit together, asked in turn: memory in detail
       npm run bench -- batch [OPTIONS]            A B A B against A A B B for two such experts: throughput

workloads:
${workloads.map(({ name, title }) => `  ${name.padEnd(nameWidth)}  ${title}`).join("\n")}

  --quick               one round with fewer samples: under five minutes where files and peer are there
  --rounds N            measurements of each side, by turns. Default 3; with --quick 1
  --model FILE          the GGUF file to measure; default: the shape of Qwen2.5 0.5B, generated weights
  --peer FOLDER         where llama-server, llama-bench and llama-batched-bench are; default: $LLAMA_CPP_BIN, else they
                        are built from the source inside node-llama-cpp (git, cmake, a C++ compiler; about ten minutes)
  --out FILE            the result file; default bench/results/DATE-CPU-COMMIT.json

all but report:
  --folder FOLDER       where files of real shapes are, or are written when missing: 0.7 GB with --quick, 14 GB for all five
                        in q4_0. Default .cache/bench-models
  --quant QUANT         of the written ones: ${quantisations.join(", ")}. Default q4_0

swap and batch:
  --models FILE,FILE    GGUF files; default: five (batch: two) in the shapes of the real experts
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

Ratios above 1 mean that this project is better. Exit code: 0 all targets met, or held; 1 a target missed, or not measured;
swap: more than 105 % of the budget was resident, or a request failed; batch: less than 75 %; 2 wrong arguments.
`;

export interface SuiteArguments {
  readonly mode: "suite";
  readonly workloads: readonly Workload[];
  /** Null: shaped like Qwen2.5 0.5B. */
  readonly model: string | null;
  /** Null: by the environment, or built. */
  readonly peer: string | null;
  /** Null: named by day, processor and commit. */
  readonly out: string | null;
  readonly folder: string;
  readonly quant: Quantisation;
  readonly rounds: number;
  readonly isQuick: boolean;
}

export interface SwapArguments {
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

export interface ReportArguments {
  readonly mode: "report";
  readonly file: string;
}

export type BenchArguments = SuiteArguments | SwapArguments | ReportArguments;

/** Wrong arguments; the message says what arrived and what is allowed. */
export class UsageError extends Error {}

const fileOptions = ["folder", "quant"];
const suiteOptions = [...fileOptions, "quick", "rounds", "model", "peer", "out"];
const pairOptions = [...fileOptions, "models", "budget", "context", "requests", "prompt-words", "max-tokens"];
const optionsOf: Readonly<Record<BenchArguments["mode"], readonly string[]>> = {
  suite: suiteOptions,
  report: [],
  swap: [...pairOptions, "order", "seed", "concurrency"],
  batch: [...pairOptions, "pairs"],
};

export function readArguments(argv: readonly string[]): BenchArguments | "help" {
  const { values, positionals } = parse(argv);
  if (values.help === true) return "help";
  const [first, ...others] = positionals;
  const mode = first === "swap" || first === "batch" || first === "report" ? first : "suite";
  const foreign = Object.keys(values).find((name) => !optionsOf[mode].includes(name));
  if (foreign !== undefined) {
    const homes = Object.entries(optionsOf).flatMap(([home, names]) => (names.includes(foreign) ? home : []));
    const of = (name: string) => (name === "suite" ? "workloads" : name);
    throw new UsageError(`--${foreign} belongs to ${homes.map(of).join(" and ")}, not to ${of(mode)}`);
  }
  switch (mode) {
    case "suite":
      return suiteArguments(positionals, values);
    case "report":
      return { mode, file: onlyFile(others) };
    case "swap":
    case "batch":
      if (others.length > 0) throw new UsageError(`${mode} runs alone; received also ${quoted(others)}`);
      return swapArguments(mode, values);
  }
}

type Values = ReturnType<typeof parse>["values"];

function suiteArguments(names: readonly string[], values: Values): SuiteArguments {
  const unknown = names.find((name) => !workloads.some((workload) => workload.name === name));
  if (unknown !== undefined) {
    const known = workloads.map(({ name }) => name).join(", ");
    throw new UsageError(`${JSON.stringify(unknown)} is no workload; there are ${known}; and swap, batch, report`);
  }
  const isQuick = values.quick === true;
  return {
    mode: "suite",
    workloads: names.length === 0 ? workloads : workloads.filter(({ name }) => names.includes(name)),
    model: notEmpty("model", values.model),
    peer: notEmpty("peer", values.peer),
    out: notEmpty("out", values.out),
    ...fileArguments(values),
    rounds: wholeNumber("rounds", values.rounds ?? (isQuick ? "1" : "3"), 1),
    isQuick,
  };
}

function swapArguments(mode: "swap" | "batch", values: Values): SwapArguments {
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
    ...fileArguments(values),
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

function fileArguments(values: Values): { folder: string; quant: Quantisation } {
  return {
    folder: values.folder ?? ".cache/bench-models",
    quant: oneOf("quant", values.quant ?? "q4_0", quantisations),
  };
}

function onlyFile(files: readonly string[]): string {
  const [file, ...others] = files;
  if (file !== undefined && others.length === 0) return file;
  throw new UsageError(`report takes one result file; received ${file === undefined ? "none" : quoted(files)}`);
}

function quoted(words: readonly string[]): string {
  return words.map((word) => JSON.stringify(word)).join(" ");
}

function parse(argv: readonly string[]) {
  const text = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        quick: { type: "boolean" },
        rounds: text,
        model: text,
        peer: text,
        out: text,
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

function notEmpty(name: string, text: string | undefined): string | null {
  if (text === "") throw wrong(name, text, "a path");
  return text ?? null;
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
