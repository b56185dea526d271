// The second turn of a 2,000-token chat on an otherwise idle server: time to its first token. May import what workload.ts
// may.
import { Conversation } from "../load/conversation.ts";
import { ttftMs } from "../load/generation.ts";
import { wordsOf } from "../load/words.ts";
import { takeTurns } from "../protocol.ts";
import { peerName, sides, withWarmServer, type Workload } from "./workload.ts";

const historyTokens = 2000;
const answerTokens = 16;
const questionWords = 12;
const samples = 3;
const title = "second turn of a 2,000-token chat: time to the first token";

export const secondTurnWorkload: Workload = {
  name: "second-turn",
  title,
  async run(context) {
    const { model, isQuick, rounds } = context;
    const wanted = isQuick ? 1 : samples;
    const measured = await takeTurns(
      rounds,
      sides((side, round) =>
        withWarmServer(context, side, { contextTokens: 4096, parallel: 1 }, async ({ baseUrl }, prompts) => {
          const times: number[] = [];
          for (let sample = 0; sample < wanted; sample++) {
            const seed = 1 + sample + wanted * round;
            const chat = new Conversation(baseUrl, model.expertId);
            await chat.turn(prompts.ofTokens(historyTokens, seed), answerTokens);
            times.push(ttftMs(await chat.turn(wordsOf(questionWords, seed), answerTokens)));
          }
          return times;
        }),
      ),
    );
    return [
      { title, unit: "ms", better: "lower", ours: measured.ours, against: peerName, other: measured.peer, target: 1 },
    ];
  },
};
