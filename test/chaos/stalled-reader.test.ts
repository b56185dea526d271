// A client that takes nothing of its stream must not hold its expert's slot for good.
import { request } from "node:http";
import path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { testFolder } from "../support/temporary-folder.ts";
import { ask, expectCalm } from "./clients.ts";
import { longModel } from "./long-model.ts";
import { serve } from "./servers.ts";

/** In every chunk, so that the sockets' buffers are full after fewer of them: as long as a name may be. */
const id = `long-winded-${"x".repeat(188)}`;
const contextTokens = 32_768;

// Longer than others: the sockets' buffers take some megabytes before the server sees that nobody reads.
const timeoutMs = 240_000;

it(
  "gives the slot of a client that reads nothing to the next one, after the stall limit",
  async () => {
    const folder = testFolder();
    await longModel(path.join(folder, "long.gguf"), contextTokens);
    const server = await serve({
      experts: [{ expert_id: id, model_path: path.join(folder, "long.gguf"), max_model_len: contextTokens }],
      server_config: { stall_timeout_s: 3 },
    });
    await new Promise<void>((resolve, reject) => {
      const sent = request(`${server.baseUrl}/v1/completions`, { method: "POST" }, (response) => {
        onTestFinished(() => {
          response.destroy();
        });
        // Read once and never again: it does not even see that it is cut off.
        response.once("data", () => {
          response.pause();
          resolve();
        });
      });
      sent.once("error", reject);
      sent.end(JSON.stringify({ model: id, prompt: "uno", max_tokens: contextTokens, temperature: 0, stream: true }));
    });

    // The expert has one slot: whoever comes next waits until it is free.
    const next = await ask(server.baseUrl, { model: id, prompt: "uno", maxTokens: 3, endpoint: "completions" });
    expect(next).toMatchObject({ status: 200, error: null, tokens: 3 });
    // Not because the long answer had come to its end.
    expect(server.output()).toMatch(/"outcome":"abandoned"/);
    await expectCalm(server.baseUrl);
  },
  timeoutMs,
);
