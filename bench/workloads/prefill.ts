// Reading a prompt that nobody has seen: time to the first token over HTTP. May import what workload.ts may.
import { generateWhole, ttftMs } from "../load/generation.ts";
import { takeTurns } from "../protocol.ts";
import { peerName, sides, withWarmServer, type Workload } from "./workload.ts";

const samples = 3;

export function prefillWorkload(tokens: 512 | 2048): Workload {
  const title = `prefill, ${tokens} tokens: time to the first token`;
  return {
    name: `prefill-${tokens}`,
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
              const prompt = prompts.ofTokens(tokens, 1 + sample + wanted * round);
              times.push(ttftMs(await generateWhole(baseUrl, { expertId: model.expertId, prompt, maxTokens: 1 })));
            }
            return times;
          }),
        ),
      );
      return [
        {
          title,
          unit: "ms",
          better: "lower",
          ours: measured.ours,
          against: peerName,
          other: measured.peer,
          target: 1.15,
        },
      ];
    },
  };
}
