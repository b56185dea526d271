// Every event of the pool as a sentence for operators.
import { describe, expect, it } from "vitest";
import type { PoolEventBody } from "../../src/core/pool-event.ts";
import { describePoolEvent } from "../../src/core/pool-event-text.ts";

const GiB = 2 ** 30;
const modelId = "phi4_fast";
const evicted = {
  type: "unload_started",
  modelId,
  reason: "evicted",
  bytes: 2.4 * GiB,
  idleMs: 41_000,
  forModelId: "qwen_coder",
  waiting: 3,
} as const;

/** By type, so that one that is missing does not compile; then the variants. */
const sentences: Readonly<Record<PoolEventBody["type"], readonly (readonly [PoolEventBody, string])[]>> = {
  load_progress: [[{ type: "load_progress", modelId: "a", share: 0.429 }, "a is being loaded: 42 %"]],
  proof_started: [
    [
      { type: "proof_started", modelId: "a", reservedBytes: 1024, waiting: 2 },
      "a was never loaded here: another process tries its file first, 2 requests wait for it",
    ],
  ],
  proof_finished: [
    [
      { type: "proof_finished", modelId: "a", proofMs: 900 },
      "The file of a can be loaded: another process did, in 900 ms",
    ],
  ],
  load_started: [
    [
      { type: "load_started", modelId, reservedBytes: 1.5 * GiB, contextTokens: 4096, waiting: 2 },
      "phi4_fast is being loaded with a context of 4096 tokens: 1.5 GiB are reserved, 2 requests wait for it",
    ],
    [
      { type: "load_started", modelId, reservedBytes: 1.5 * GiB, contextTokens: 4096, waiting: 0 },
      "phi4_fast is being loaded with a context of 4096 tokens: 1.5 GiB are reserved, no request waits for it",
    ],
  ],
  load_finished: [
    [
      { type: "load_finished", modelId, predictedBytes: 2 * GiB, measuredBytes: 2.1 * GiB, loadMs: 4200 },
      "phi4_fast was loaded in 4.2 s and takes 2.1 GiB, 2.0 GiB were predicted",
    ],
    [
      { type: "load_finished", modelId, predictedBytes: 2 * GiB, measuredBytes: 2 * GiB + 1, loadMs: 300 },
      "phi4_fast was loaded in 300 ms and takes 2.0 GiB, as predicted",
    ],
  ],
  load_failed: [
    [
      { type: "load_failed", modelId, reason: "no such\nfile.", failures: 1, retryAfterMs: 5000 },
      "phi4_fast could not be loaded: no such file; it is tried again in 5.0 s at the earliest",
    ],
    [
      { type: "load_failed", modelId, reason: "broken", failures: 3, retryAfterMs: 0 },
      "phi4_fast could not be loaded: broken; after 3 failures in a row it may be tried again",
    ],
    [
      { type: "load_failed", modelId, reason: "broken", failures: 1, retryAfterMs: Infinity },
      "phi4_fast could not be loaded: broken; it is not tried again before its file changes",
    ],
  ],
  load_abandoned: [
    [
      { type: "load_abandoned", modelId, forModelId: null },
      "The load of phi4_fast was given up: nobody waits for it any more",
    ],
    [
      { type: "load_abandoned", modelId, forModelId: "qwen_coder" },
      "The load of phi4_fast was given up, for nobody waits for it, and qwen_coder needs its memory",
    ],
  ],
  unload_started: [
    [evicted, "phi4_fast (2.4 GiB, idle for 41 s) was unloaded to make room for qwen_coder, for which 3 requests wait"],
    [
      { ...evicted, waiting: 1 },
      "phi4_fast (2.4 GiB, idle for 41 s) was unloaded to make room for qwen_coder, for which 1 request waits",
    ],
    [
      { ...evicted, waiting: 0, idleMs: null },
      "phi4_fast (2.4 GiB, never used) was unloaded to make room for qwen_coder",
    ],
    [{ ...evicted, forModelId: null }, "phi4_fast (2.4 GiB, idle for 41 s) was unloaded to make room"],
    ...(
      [
        ["idle", "because nobody used it for its keep-alive time"],
        [
          "larger_than_predicted",
          "right after its load: it takes more than was predicted, and no room could be made for the rest",
        ],
        ["abandoned", "right after its load: everyone who waited for it had left"],
        ["memory_pressure", "because the machine is short of memory"],
        ["budget_shrunk", "because the budget became smaller"],
        ["reconfigured", "because its configuration changed"],
        ["removed", "because it left the configuration"],
        ["requested", "because an operator asked for it"],
        ["file_changed", "because its file changed"],
        ["draining", "because the server is shutting down"],
      ] as const
    ).map(([reason, text]) => {
      const event: PoolEventBody = { ...evicted, reason, forModelId: null, waiting: 0 };
      return [event, `phi4_fast (2.4 GiB, idle for 41 s) was unloaded ${text}`] as const;
    }),
  ],
  unload_finished: [
    [
      { type: "unload_finished", modelId, bytes: 2.4 * GiB, unloadMs: 310 },
      "phi4_fast has left memory: 2.4 GiB came back in 310 ms",
    ],
  ],
  draining_started: [
    [
      { type: "draining_started", modelId, forModelId: "qwen_coder", leases: 2, waiting: 3 },
      "phi4_fast serves only those who asked before, and goes then: its memory is needed for qwen_coder, for which " +
        "3 requests wait",
    ],
    [
      { type: "draining_started", modelId, forModelId: null, leases: 0, waiting: 0 },
      "phi4_fast serves only those who asked before, and goes then: the budget became smaller",
    ],
  ],
  granted: [
    [
      { type: "granted", modelId, hit: true, queueMs: 0.2, loadMs: 0 },
      "A request got phi4_fast at once: it was in memory",
    ],
    [
      { type: "granted", modelId, hit: true, queueMs: 1200, loadMs: 0 },
      "A request got phi4_fast after 1.2 s in the queue: it was in memory",
    ],
    [
      { type: "granted", modelId, hit: false, queueMs: 300, loadMs: 4200 },
      "A request got phi4_fast after 300 ms in the queue and 4.2 s of its load",
    ],
    [
      { type: "granted", modelId, hit: false, queueMs: 0, loadMs: 4200 },
      "A request got phi4_fast after 4.2 s of its load",
    ],
  ],
  refused: [
    [
      { type: "refused", modelId, code: "queue_full", reason: "64 requests wait already." },
      "A request for phi4_fast was refused (queue_full): 64 requests wait already",
    ],
  ],
  context_reduced: [
    [
      { type: "context_reduced", modelId, wantedTokens: 8192, contextTokens: 2048 },
      "phi4_fast gets a context of 2048 tokens, not of 8192, so that it fits into memory",
    ],
  ],
  quarantined: [
    [
      { type: "quarantined", modelId, reason: "it ended the process twice" },
      "phi4_fast is in quarantine until an operator lifts it: it ended the process twice",
    ],
  ],
  quarantine_lifted: [
    [{ type: "quarantine_lifted", modelId }, "The quarantine of phi4_fast was lifted: the next request loads it"],
  ],
  memory_short: [
    [
      { type: "memory_short", availableBytes: 300 * 2 ** 20, wantedBytes: 1.2 * GiB },
      "The machine is short of memory, it can still give 300.0 MiB: idle models of 1.2 GiB are to be unloaded",
    ],
  ],
  reconfigured: [
    [
      { type: "reconfigured", added: ["a", "b"], changed: [], removed: ["c"] },
      "The configuration was read anew: added a, b; removed c",
    ],
    [
      { type: "reconfigured", added: [], changed: [], removed: [] },
      "The configuration was read anew: no model changed",
    ],
  ],
};

describe("describePoolEvent", () => {
  it.each(Object.values(sentences).flat())("%j", (event, sentence) => {
    expect(describePoolEvent(event)).toBe(sentence);
  });
});
