// What a heartbeat tells of a streamed answer that waits, from the pool's state at that moment.
import { describe, expect, it } from "vitest";
import { AwaitedStep } from "../../src/api/common/awaited.ts";
import type { Routing } from "../../src/chat/contract.ts";
import type { ModelStatus } from "../../src/pool/pool.ts";
import { poolModel, poolStatus, timings } from "../support/fake-services.ts";

const routing: Routing = { expertId: "qwen_coder", confidence: 1, source: "request", reason: "" };
const other = poolModel("phi4_fast", { state: "loading", loadProgress: 0.1, waiting: 9 });

function setUp(model: Partial<ModelStatus> = {}) {
  const world = { model };
  const services = {
    poolStatus: () => poolStatus([other, poolModel("qwen_coder", world.model)]),
  };
  return { world, step: new AwaitedStep(services, routing) };
}

describe("an answer that waits", () => {
  it.each<[Partial<ModelStatus>, string | null]>([
    [{ state: "loading", waiting: 2, loadProgress: 0.439 }, "loading qwen_coder 43 %"],
    [{ state: "loading", waiting: 2, loadProgress: null }, "loading qwen_coder"],
    [{ state: "loading", waiting: 2, loadProgress: 0 }, "loading qwen_coder"],
    [{ state: "available", waiting: 1 }, "waiting for memory to load qwen_coder"],
    [{ state: "unloading", waiting: 1 }, "waiting for memory to load qwen_coder"],
    [{ state: "loaded", waiting: 1 }, "waiting for a turn on qwen_coder, next in line"],
    [{ state: "failed", waiting: 1 }, null],
    [{ state: "loaded", waiting: 0 }, null],
  ])("for %j says %j", (model, text) => {
    const { world, step } = setUp();
    world.model = model;
    expect(step.text()).toBe(text);
  });

  it("bounds how many are ahead: who came before, and never more than wait beside it", () => {
    const { world, step } = setUp({ state: "loaded", waiting: 3 });
    const ahead = (waiting: number) => {
      world.model = { state: "loaded", waiting };
      return step.text()?.replace("waiting for a turn on qwen_coder, ", "");
    };
    expect(ahead(4)).toBe("at most 3 ahead");
    // Who comes later is behind.
    expect(ahead(10)).toBe("at most 3 ahead");
    expect(ahead(3)).toBe("at most 2 ahead");
    // It never falls back.
    expect(ahead(10)).toBe("at most 2 ahead");
    expect(ahead(1)).toBe("next in line");
    expect(ahead(10)).toBe("next in line");
  });

  it("knows nothing of an expert that the pool has not heard of", () => {
    const step = new AwaitedStep({ poolStatus: () => poolStatus([other]) }, routing);
    expect(step.text()).toBe(null);
  });
});

describe("an answer under way", () => {
  it("tells how far its prompt is read, and then nothing, whoever waits for its expert", () => {
    const { step } = setUp({ state: "loaded", waiting: 5 });
    step.follow({ type: "started", promptTokens: 2048, cachedTokens: 0 });
    expect(step.text()).toBe(null);
    step.follow({ type: "prefill", readTokens: 512, promptTokens: 2048 });
    expect(step.text()).toBe("reading the prompt, 512 of 2048 tokens");
    step.follow({ type: "text", text: "a" });
    expect(step.text()).toBe(null);
    step.follow({ type: "end", reason: "stop", stopSequence: null, isCompleted: false, timings });
    expect(step.text()).toBe(null);
  });

  it("waits anew when another expert takes over", () => {
    const { step } = setUp();
    step.follow({ type: "prefill", readTokens: 1, promptTokens: 2 });
    step.follow({ type: "routing", routing: { ...routing, expertId: "phi4_fast" } });
    expect(step.text()).toBe("loading phi4_fast 10 %");
  });
});
