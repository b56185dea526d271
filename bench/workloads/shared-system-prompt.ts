// 16 clients at once with the same system prompt of 1,000 tokens and a question of their own: time until the last has its
// answer, and how often the shared part was read. May import what workload.ts may.
import { Conversation } from "../load/conversation.ts";
import { readTokens } from "../load/rates.ts";
import { wordsOf } from "../load/words.ts";
import { takeTurns } from "../protocol.ts";
import { type BenchContext, peerName, sides, type Side, withWarmServer, type Workload } from "./workload.ts";

const clients = 16;
const slots = 4;
const sharedTokens = 1000;
const questionWords = 16;
const answerTokens = 24;
/** Questions may begin alike by a token or two. */
const readOnceTarget = 0.95;

interface Run {
  readonly totalMs: number;
  readonly readTokens: number;
  /** What reading the shared part once, and each question, would have taken. */
  readonly leastTokens: number;
}

export const sharedSystemPromptWorkload: Workload = {
  name: "shared-system-prompt",
  title: `${clients} clients share a system prompt of 1,000 tokens: total time, and prompt tokens read`,
  async run(context) {
    const measured = await takeTurns(
      context.rounds,
      sides((side, round) => askAll(context, side, round)),
    );
    const of = (runs: readonly Run[], pick: (run: Run) => number) => runs.map((run) => [pick(run)]);
    const title = `${clients} clients, one system prompt of 1,000 tokens`;
    const tokens = { unit: "tokens", better: "lower", ours: of(measured.ours, (run) => run.readTokens) } as const;
    return [
      {
        title: `${title}: total time`,
        unit: "ms",
        better: "lower",
        ours: of(measured.ours, ({ totalMs }) => totalMs),
        against: peerName,
        other: of(measured.peer, ({ totalMs }) => totalMs),
        target: 1,
      },
      {
        ...tokens,
        title: `${title}: prompt tokens read`,
        against: "the shared part read once",
        other: of(measured.ours, ({ leastTokens }) => leastTokens),
        target: readOnceTarget,
      },
      {
        ...tokens,
        title: `${title}: prompt tokens read`,
        against: peerName,
        other: of(measured.peer, (run) => run.readTokens),
        target: null,
      },
    ];
  },
};

function askAll(context: BenchContext, side: Side, round: number): Promise<Run> {
  const { model } = context;
  return withWarmServer(context, side, { contextTokens: 2048, parallel: slots }, async ({ baseUrl }, prompts) => {
    const system = prompts.ofTokens(sharedTokens, 1 + round);
    const startMs = performance.now();
    const answers = await Promise.all(
      Array.from({ length: clients }, (_, client) =>
        new Conversation(baseUrl, model.expertId, system).turn(wordsOf(questionWords, 100 + client), answerTokens),
      ),
    );
    const totalMs = performance.now() - startMs;
    const promptTokens = answers.reduce((sum, answer) => sum + answer.promptTokens, 0);
    // What one answer found in the cache is shared for certain, the template's own tokens among it.
    const shared = Math.max(
      Math.round(system.split(" ").length * prompts.tokensPerWord),
      ...answers.map(({ cachedTokens }) => cachedTokens),
    );
    return { totalMs, readTokens: readTokens(answers), leastTokens: promptTokens - (clients - 1) * shared };
  });
}
