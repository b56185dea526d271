// Several answers as one stream: who starts when, whose events are whose, and how all end when one fails.
import { expect, it } from "vitest";
import type { AnswerEvents } from "../../src/api/common/answer-events.ts";
import { readAnswers, startAnswers } from "../../src/api/openai/choices.ts";
import type { AnswerEvent, Routing } from "../../src/chat/contract.ts";
import { deferred } from "../../src/core/deferred.ts";
import { ending } from "../support/fake-services.ts";

const routing = (expertId: string): Routing => ({ expertId, confidence: 1, source: "default", reason: "" });

/** Answers that wait until a test lets them say something. */
function setUp(count: number, parallel = 2) {
  const started: { index: number; expertId: string | null; signal: AbortSignal }[] = [];
  const gates = Array.from({ length: count }, () => deferred<readonly AnswerEvent[]>());
  const ended: number[] = [];
  async function* answer(index: number, signal: AbortSignal): AnswerEvents {
    const aborted = deferred<never>();
    aborted.promise.catch(() => {});
    signal.addEventListener("abort", () => aborted.reject(new Error("abandoned")));
    try {
      yield { type: "routing", routing: routing("a") };
      yield { type: "started", promptTokens: 1, cachedTokens: 0 };
      yield* await Promise.race([gates[index]!.promise, aborted.promise]);
    } finally {
      ended.push(index);
    }
  }
  const client = new AbortController();
  const answers = startAnswers({
    count,
    start: (index, expertId, signal) => {
      started.push({ index, expertId, signal });
      return answer(index, signal);
    },
    parallel: () => parallel,
    signal: client.signal,
  });
  const say = (index: number, text: string) => gates[index]!.resolve([{ type: "text", text }, ending()]);
  return { answers, started, gates, ended, client, say };
}

it("one answer is handed on as it is, with the caller's own signal", async () => {
  const { answers, started, say, client } = setUp(1);
  say(0, "x");
  const { whole } = await readAnswers(await answers, 1);
  expect(whole.map(({ text }) => text)).toEqual(["x"]);
  expect(started).toEqual([{ index: 0, expertId: null, signal: client.signal }]);
});

it("the others begin once the first is under way, on its expert, one more than that answers at a time", async () => {
  const { answers, started, say, ended } = setUp(5);
  const reading = answers.then(async (all) => readAnswers(all, 5));
  await answers;
  expect(started.map(({ index }) => index)).toEqual([0]);
  await expect
    .poll(() => started.map(({ index, expertId }) => [index, expertId]))
    .toEqual([
      [0, null],
      [1, "a"],
      [2, "a"],
    ]);
  say(1, "one");
  await expect.poll(() => started.length).toBe(4);
  for (const index of [4, 3, 2, 0]) say(index, `${index}`);
  const { whole } = await reading;
  expect(whole.map(({ text }) => text)).toEqual(["0", "one", "2", "3", "4"]);
  expect(ended.toSorted((left, right) => left - right)).toEqual([0, 1, 2, 3, 4]);
});

it("the failure of one ends the others, and is what the caller hears", async () => {
  const { answers, gates, ended } = setUp(3);
  const reading = answers.then(async (all) => readAnswers(all, 3));
  gates[1]!.reject(new Error("It broke."));
  await expect(reading).rejects.toThrow("It broke.");
  expect(ended.toSorted((left, right) => left - right)).toEqual([0, 1, 2]);
});

it("a reader who leaves ends all", async () => {
  const { answers, ended, started, say } = setUp(3);
  const { events } = await answers;
  say(1, "x");
  for await (const event of events) if (event.type === "text") break;
  expect(started.map(({ index }) => index)).toEqual([0, 1, 2]);
  expect(ended.toSorted((left, right) => left - right)).toEqual([0, 1, 2]);
});

it("the caller's signal reaches all", async () => {
  const { answers, client, started, ended } = setUp(3);
  const reading = answers.then(async (all) => readAnswers(all, 3));
  await expect.poll(() => started.length).toBe(3);
  client.abort();
  await expect(reading).rejects.toThrow("abandoned");
  expect(ended.toSorted((left, right) => left - right)).toEqual([0, 1, 2]);
});

it("an answer without an end is no answer", async () => {
  const { answers, gates, say } = setUp(2);
  say(0, "x");
  gates[1]!.resolve([{ type: "text", text: "half" }]);
  await expect(readAnswers(await answers, 2)).rejects.toThrow("ended without its end event");
});
