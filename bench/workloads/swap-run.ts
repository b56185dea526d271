// The swap run as a part of the suite: does the server's memory stay within its budget, and is every request answered. May
// import swap/ and what workload.ts may.
import { allowedShare, judgeMemory } from "../swap/swap-report.ts";
import { runSwap } from "../swap/swap.ts";
import type { BenchContext, Workload } from "./workload.ts";

/** A quick run's budget: one of the two 0.5B files, not both. */
const quickBudgetBytes = 1.2 * 2 ** 30;
const budgetBytes = 8 * 2 ** 30;

export const swapRunWorkload: Workload = {
  name: "swap-run",
  title: "experts that do not fit together, asked in turn: resident memory against the budget",
  async run(context) {
    context.onStep("this project's server");
    const wanted = await setting(context);
    const options = {
      ...wanted,
      order: "round-robin",
      seed: 1,
      concurrency: 2,
      promptWords: 16,
      maxTokens: 8,
    } as const;
    const result = await runSwap(options, context.output, context.signal);
    return [
      {
        title: "swap run: most resident memory",
        unit: "bytes",
        better: "lower",
        ours: [[judgeMemory(result.samples, wanted.budgetBytes).maxBytes]],
        against: `${allowedShare * 100} % of the budget`,
        other: [[allowedShare * wanted.budgetBytes]],
        target: 1,
      },
      {
        title: "swap run: requests answered",
        unit: "answers",
        better: "higher",
        ours: [[result.answers.filter(({ error }) => error === null).length]],
        against: "requests",
        other: [[wanted.requests]],
        target: 1,
      },
    ];
  },
};

async function setting({ isQuick, model, otherModel, expertModels }: BenchContext) {
  if (!isQuick) return { models: await expertModels(), budgetBytes, contextTokens: 4096, requests: 40 };
  return { models: [model, await otherModel()], budgetBytes: quickBudgetBytes, contextTokens: 2048, requests: 8 };
}
