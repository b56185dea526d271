// Two experts of which one at a time is in memory: a 1,000-token chat goes on after the other expert has answered. Against
// llama-server's router mode with one model at a time, and against a bare reload that answers one token. May import what
// workload.ts may.
import { Conversation } from "../load/conversation.ts";
import { generateWhole, ttftMs } from "../load/generation.ts";
import { Prompts, wordsOf } from "../load/words.ts";
import { takeTurns } from "../protocol.ts";
import { type BenchContext, peerName, sides, type Side, withServer, type Workload } from "./workload.ts";

const historyTokens = 1000;
const answerTokens = 16;
const questionWords = 12;
const samples = 3;
/** As much as a bare reload and one token may be exceeded by. */
const allowedFactor = 1.2;

interface Times {
  readonly returnMs: readonly number[];
  readonly reloadMs: readonly number[];
}

export const returnAfterEvictionWorkload: Workload = {
  name: "return-after-eviction",
  title: "a 1,000-token chat goes on after its expert was evicted and another ran: time to the first token",
  async run(context) {
    const measured = await takeTurns(
      context.rounds,
      sides((side, round) => comeBack(context, side, round)),
    );
    const title = "return to a 1,000-token chat after eviction: time to the first token";
    const common = { title, unit: "ms", better: "lower", ours: measured.ours.map(({ returnMs }) => returnMs) } as const;
    return [
      {
        ...common,
        against: `${peerName}, router mode`,
        other: measured.peer.map(({ returnMs }) => returnMs),
        target: 3,
      },
      {
        ...common,
        against: "own reload + one token",
        other: measured.ours.map(({ reloadMs }) => reloadMs),
        target: 1 / allowedFactor,
      },
      {
        title: "reload after eviction, one token of a short prompt",
        unit: "ms",
        better: "lower",
        ours: measured.ours.map(({ reloadMs }) => reloadMs),
        against: `${peerName}, router mode`,
        other: measured.peer.map(({ reloadMs }) => reloadMs),
        target: null,
      },
    ];
  },
};

async function comeBack(context: BenchContext, side: Side, round: number): Promise<Times> {
  const { model, isQuick } = context;
  const other = await context.otherModel();
  const options = { models: [model, other], contextTokens: 2048, parallel: 1, maxLoaded: 1 };
  return withServer(context, side, options, async ({ baseUrl }) => {
    const askOther = (seed: number) =>
      generateWhole(baseUrl, { expertId: other.expertId, prompt: wordsOf(8, seed), maxTokens: 1 });
    // Both files have been loaded once before anything counts.
    await askOther(1);
    const prompts = await Prompts.calibrate(baseUrl, model.expertId);
    const chat = new Conversation(baseUrl, model.expertId);
    await chat.turn(prompts.ofTokens(historyTokens, 1 + round), answerTokens);
    const times = { returnMs: [] as number[], reloadMs: [] as number[] };
    for (let sample = 0; sample < (isQuick ? 1 : samples); sample++) {
      await askOther(2 + 2 * sample);
      times.returnMs.push(ttftMs(await chat.turn(wordsOf(questionWords, sample), answerTokens)));
      await askOther(3 + 2 * sample);
      const bare = { expertId: model.expertId, prompt: wordsOf(4, 1000 + sample), maxTokens: 1 };
      times.reloadMs.push(ttftMs(await generateWhole(baseUrl, bare)));
    }
    return times;
  });
}
