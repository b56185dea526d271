// What one expert takes of the machine's memory when it has served all its slots: resident pages of the server's process,
// the file's own pages among them. May import what workload.ts may.
import { generateWhole } from "../load/generation.ts";
import { readResidentMemory } from "../processes/process-memory.ts";
import { takeTurns } from "../protocol.ts";
import { peerName, sides, withWarmServer, type Workload } from "./workload.ts";

const slots = 4;
const contextTokens = 4096;
const promptTokens = 256;
const allowedFactor = 1.1;
/** Node itself. */
const allowedBytes = 80e6;

export const residentMemoryWorkload: Workload = {
  name: "resident-memory",
  title: `resident memory of one expert with ${slots} slots of ${contextTokens} tokens`,
  async run(context) {
    const { model } = context;
    const measured = await takeTurns(
      context.rounds,
      sides((side, round) =>
        withWarmServer(context, side, { contextTokens, parallel: slots }, async ({ baseUrl, pid }, prompts) => {
          const ask = (slot: number) => {
            const prompt = prompts.ofTokens(promptTokens, 1 + slot + slots * round);
            return generateWhole(baseUrl, { expertId: model.expertId, prompt, maxTokens: 8 });
          };
          await Promise.all(Array.from({ length: slots }, (_, slot) => ask(slot)));
          return readResidentMemory(pid);
        }),
      ),
    );
    const rss = (runs: typeof measured.ours) => runs.map(({ rssBytes }) => [rssBytes]);
    const pss = (runs: typeof measured.ours) => runs.map(({ pssBytes }) => [pssBytes]);
    const what = `one expert, ${slots} slots of ${contextTokens} tokens`;
    const common = { unit: "bytes", better: "lower" } as const;
    return [
      {
        ...common,
        title: `resident memory, ${what}`,
        ours: rss(measured.ours),
        against: `${allowedFactor.toFixed(2)} × ${peerName} + 80 MB`,
        other: measured.peer.map(({ rssBytes }) => [allowedFactor * rssBytes + allowedBytes]),
        target: 1,
      },
      {
        ...common,
        title: `resident memory, ${what}`,
        ours: rss(measured.ours),
        against: peerName,
        other: rss(measured.peer),
        target: null,
      },
      {
        ...common,
        title: `proportional share (PSS), ${what}`,
        ours: pss(measured.ours),
        against: peerName,
        other: pss(measured.peer),
        target: null,
      },
    ];
  },
};
