// Four chats take turns on one expert, each coming back to a history of 1,000 tokens: with a slot for each, and with a
// single slot that they have to share. May import what workload.ts may.
import type { Comparison } from "../comparison.ts";
import { Conversation } from "../load/conversation.ts";
import { ttftMs } from "../load/generation.ts";
import { wordsOf } from "../load/words.ts";
import { takeTurns } from "../protocol.ts";
import { type BenchContext, peerName, sides, type Side, withWarmServer, type Workload } from "./workload.ts";

const chats = 4;
const historyTokens = 1000;
const answerTokens = 16;
const questionWords = 12;
const turnsEach = 2;

export const conversationsWorkload: Workload = {
  name: "conversations",
  title: "4 chats in turn on one expert, each returning to 1,000 tokens: time to the first token",
  async run(context) {
    const comparisons: Comparison[] = [];
    for (const slots of context.isQuick ? [1] : [1, chats]) {
      const measured = await takeTurns(
        context.rounds,
        sides((side, round) => returns(context, side, round, slots)),
      );
      comparisons.push({
        title: `4 chats in turn, ${slots === 1 ? "1 slot" : `${slots} slots`}: time to the first token`,
        unit: "ms",
        better: "lower",
        ours: measured.ours,
        against: peerName,
        other: measured.peer,
        target: 1,
      });
    }
    return comparisons;
  },
};

function returns(context: BenchContext, side: Side, round: number, parallel: number): Promise<number[]> {
  const { model, isQuick } = context;
  return withWarmServer(context, side, { contextTokens: 2048, parallel }, async ({ baseUrl }, prompts) => {
    const open = Array.from({ length: chats }, () => new Conversation(baseUrl, model.expertId));
    for (const [index, chat] of open.entries()) {
      await chat.turn(prompts.ofTokens(historyTokens, 1 + index + chats * round), answerTokens);
    }
    const times: number[] = [];
    for (let turn = 0; turn < (isQuick ? 1 : turnsEach); turn++) {
      for (const [index, chat] of open.entries()) {
        times.push(ttftMs(await chat.turn(wordsOf(questionWords, 1 + index + chats * turn), answerTokens)));
      }
    }
    return times;
  });
}
