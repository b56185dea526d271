// Regenerates test/golden/llama-scenarios.json: what llama-server, of the llama.cpp version that node-llama-cpp carries,
// answers to the scenarios of test/e2e/llama-scenarios.ts. Usage: tsx tools/golden-scenarios/main.ts path/to/llama-server
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import {
  ask,
  cacheScenarios,
  type Outcome,
  outcomeOf,
  peerOptions,
  type Scenario,
  scenarios,
} from "../../test/e2e/llama-scenarios.ts";

const [binary] = process.argv.slice(2);
if (binary === undefined) throw new Error("Name the llama-server binary.");
const inRepository = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const model = inRepository("test/data/stories260K.gguf");

const answers = await record(peerOptions);
// Sums that are made in another order differ in their last digits. Where that changes a text, it would change from one
// processor to the next: such a scenario needs another seed, or fewer tokens.
const others = await record([...peerOptions, "-b", "5"]);
for (const again of [answers.cached, answers.together, others.fresh, others.cached, others.together]) {
  for (const [name, outcome] of Object.entries(again)) {
    const [first, second] = [answers.fresh[name], outcome].map((each) => JSON.stringify(each?.texts));
    if (first !== second) throw new Error(`"${name}" depends on the last digits:\n${first}\n${second}`);
  }
}
// With one slot, the whole context is its own.
const cached = await withPeer(binary, [...peerOptions, "-np", "1"], async (baseUrl) => {
  const counts: number[] = [];
  for (const scenario of cacheScenarios) counts.push(await cachedTokens(baseUrl, scenario));
  return counts;
});
const path = inRepository("test/golden/llama-scenarios.json");
writeFileSync(
  path,
  `${JSON.stringify({ from: `llama-server ${peerOptions.join(" ")}`, cached, answers: answers.fresh }, null, 1)}\n`,
);

type Outcomes = Record<string, Outcome>;

/** What is answered the first time, when the prompt comes from the cache, and when others are answered at the same time. */
async function record(options: readonly string[]): Promise<Record<"fresh" | "cached" | "together", Outcomes>> {
  return withPeer(binary ?? "", options, async (baseUrl) => {
    const outcomes = { fresh: {} as Outcomes, cached: {} as Outcomes, together: {} as Outcomes };
    for (const scenario of scenarios) {
      if (scenario.name in outcomes.fresh) throw new Error(`two scenarios are called ${scenario.name}`);
      outcomes.fresh[scenario.name] = await outcomeOf(await ask(baseUrl, scenario));
      outcomes.cached[scenario.name] = await outcomeOf(await ask(baseUrl, scenario));
    }
    const left = scenarios.values();
    const client = async (): Promise<void> => {
      for (const scenario of left) outcomes.together[scenario.name] = await outcomeOf(await ask(baseUrl, scenario));
    };
    await Promise.all(Array.from({ length: 6 }, client));
    return outcomes;
  });
}

async function cachedTokens(baseUrl: string, scenario: Scenario): Promise<number> {
  const body = (await (await ask(baseUrl, scenario)).json()) as {
    usage: { prompt_tokens_details: { cached_tokens: number } };
  };
  return body.usage.prompt_tokens_details.cached_tokens;
}

async function withPeer<Result>(
  program: string,
  options: readonly string[],
  use: (baseUrl: string) => Promise<Result>,
): Promise<Result> {
  const peer = spawn(program, ["-m", model, ...options, "--port", "0", "--no-ui"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(peer, "close");
  try {
    const baseUrl = await new Promise<string>((resolve, reject) => {
      createInterface({ input: peer.stderr }).on("line", (line) => {
        const [, found] = /listening on (http:\/\/\S+)/.exec(line) ?? [];
        if (found !== undefined) resolve(found);
      });
      peer.once("close", () => reject(new Error("llama-server ended before it listened")));
    });
    return await use(baseUrl);
  } finally {
    peer.kill("SIGKILL");
    await ended;
  }
}
