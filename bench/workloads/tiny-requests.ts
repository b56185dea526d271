// 400 requests of one token on a tiny model, 8 at a time: what a request costs beside the model. May import what
// workload.ts may.
import { generateWhole } from "../load/generation.ts";
import { wordsOf } from "../load/words.ts";
import { storiesModel } from "../model-set.ts";
import { takeTurns } from "../protocol.ts";
import { peerName, sides, withServer, type Workload } from "./workload.ts";

const requests = 400;
const concurrency = 8;
const warmUpRequests = 40;
const promptWords = 4;
const title = `${requests} requests of 1 token on a tiny model, ${concurrency} at a time`;

export const tinyRequestsWorkload: Workload = {
  name: "tiny-requests",
  title,
  async run(context) {
    const options = {
      models: [storiesModel],
      contextTokens: 256,
      parallel: concurrency,
    };
    const measured = await takeTurns(
      context.rounds,
      sides((side) =>
        withServer(context, side, options, async ({ baseUrl }) => {
          await askMany(baseUrl, warmUpRequests, 0);
          const rates: number[] = [];
          for (let sample = 1; sample <= (context.isQuick ? 1 : 2); sample++) {
            rates.push(await askMany(baseUrl, requests, sample * requests));
          }
          return rates;
        }),
      ),
    );
    return [
      {
        title,
        unit: "requests/s",
        better: "higher",
        ours: measured.ours,
        against: peerName,
        other: measured.peer,
        target: 1,
      },
    ];
  },
};

/** Requests per second. */
async function askMany(baseUrl: string, count: number, firstSeed: number): Promise<number> {
  let next = 0;
  const startMs = performance.now();
  const client = async () => {
    while (next < count) {
      const prompt = wordsOf(promptWords, firstSeed + next++);
      await generateWhole(baseUrl, { expertId: storiesModel.expertId, prompt, maxTokens: 1 });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  return (count * 1000) / (performance.now() - startMs);
}
