// POST /admin/experts/{id}/load, /unload and /lift over fakes.
import { describe, expect, it } from "vitest";
import { liftResponse, loadResponse, unloadResponse } from "../../src/api/admin/pool-endpoints.ts";
import { AbandonedError, PublicError } from "../../src/core/errors.ts";
import { fakeHttp, post } from "../support/fake-http.ts";
import { type FakeServices, fakeServices, fiveExperts, poolModel, poolStatus } from "../support/fake-services.ts";

const act = (services: FakeServices, id: string, action: string) =>
  post(fakeHttp(services), `/admin/experts/${id}/${action}`, "");
const embedder = { id: "embedder", modelPath: "/models/embedder.gguf", contextTokens: null, cacheSize: 0 };

describe("load", () => {
  it("answers when the expert is in memory, with what it takes", async () => {
    const asked: string[] = [];
    let loaded = false;
    const services = fakeServices({
      loadExpert: async (id) => {
        asked.push(id);
        loaded = true;
      },
      poolStatus: () =>
        poolStatus(
          loaded ? [poolModel("phi4_fast", { state: "loaded", reservedBytes: 900, contextTokens: 2048 })] : [],
        ),
    });
    const { status, body } = await act(services, "phi", "load");
    expect(status).toBe(200);
    expect(loadResponse.strict().parse(body)).toEqual(body);
    expect(body).toEqual({ expert_id: "phi4_fast", status: "loaded", reserved_bytes: 900, context_length: 2048 });
    expect(asked).toEqual(["phi4_fast"]);
  });

  it("passes on why it fails", async () => {
    const error = new PublicError("Too large.", {
      status: 507,
      type: "insufficient_memory_error",
      code: "insufficient_memory",
    });
    const answer = await act(fakeServices({ loadExpert: () => Promise.reject(error) }), "phi4_fast", "load");
    expect(answer).toMatchObject({ status: 507, body: { error: { message: "Too large." } } });
  });

  it("is given up when the operator leaves", async () => {
    const leave = new AbortController();
    const services = fakeServices({
      loadExpert: (_, signal) => {
        leave.abort();
        return Promise.reject(signal.aborted ? new AbandonedError() : new Error("not told"));
      },
    });
    const response = await fakeHttp(services).request("/admin/experts/phi4_fast/load", {
      method: "POST",
      signal: leave.signal,
    });
    expect(response.status).toBe(499);
  });
});

describe("unload", () => {
  it.each(["unloading", "not_loaded"] as const)("answers %s", async (outcome) => {
    const { status, body } = await act(fakeServices({ unloadExpert: () => outcome }), "phi4_fast", "unload");
    expect(status).toBe(200);
    expect(unloadResponse.strict().parse(body)).toEqual(body);
    expect(body).toEqual({ expert_id: "phi4_fast", status: outcome });
  });

  it.each([
    [{ leases: 2, waiting: 1 }, "2 requests in progress and 1 request waiting", null],
    [{ state: "loading", waiting: 3 }, "3 requests waiting and its load under way", null],
    [{ pinned: true }, "`keep` of the configuration", "false"],
    [{}, "it is in use", null],
  ] as const)("is a conflict for %j", async (overrides, why, retry) => {
    const services = fakeServices({
      unloadExpert: () => "busy",
      poolStatus: () => poolStatus([poolModel("phi4_fast", overrides)]),
    });
    const { status, headers, body } = await act(services, "phi4_fast", "unload");
    expect(status).toBe(409);
    expect(headers.get("x-should-retry")).toBe(retry);
    expect(body.error).toMatchObject({ code: "expert_busy" });
    expect(body.error.message).toBe(
      `phi4_fast was not unloaded: ${why}. Only an expert that nobody uses can be unloaded.`,
    );
  });
});

describe("lift", () => {
  it.each([true, false])("says whether there was anything to lift: %s", async (lifted) => {
    const { status, body } = await act(fakeServices({ liftQuarantine: () => lifted }), "phi4_fast", "lift");
    expect(status).toBe(200);
    expect(liftResponse.strict().parse(body)).toEqual(body);
    expect(body).toEqual({ expert_id: "phi4_fast", lifted });
  });
});

describe.each(["load", "unload", "lift"])("%s", (action) => {
  it("of an unknown expert is 404 and names the known ones", async () => {
    const touched = () => {
      throw new Error("touched");
    };
    const services = fakeServices({ loadExpert: touched, unloadExpert: touched, liftQuarantine: touched });
    const { status, body } = await act(services, "gpt-4o", action);
    expect(status).toBe(404);
    expect(body.error).toMatchObject({ code: "expert_not_found", type: "not_found_error" });
    expect(body.error.message).toBe(
      `No expert is called "gpt-4o". Known experts: ${fiveExperts.map(({ id }) => id).join(", ")}.`,
    );
  });

  it("knows the embedder too", async () => {
    const services = fakeServices({ embedder: () => embedder });
    expect(await act(services, "embedder", action)).toMatchObject({ status: 200, body: { expert_id: "embedder" } });
    expect((await act(services, "gpt-4o", action)).body.error.message).toContain("aya_expanse_multilingual, embedder.");
  });

  it("is closed without a key, and takes no GET", async () => {
    const app = fakeHttp(fakeServices(), { apiKeys: ["key"] });
    const path = `/admin/experts/phi4_fast/${action}`;
    expect((await app.request(path, { method: "POST" })).status).toBe(401);
    expect((await fakeHttp().request(path)).status).toBe(405);
  });
});
