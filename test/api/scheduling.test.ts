// keep_alive and priority, at each endpoint that puts a model to work: what becomes of them, and what is refused how.
import { describe, expect, it } from "vitest";
import { fakeHttp, post } from "../support/fake-http.ts";
import { fakeServices } from "../support/fake-services.ts";

const hour = 3_600_000;
const endpoints = [
  ["/v1/chat/completions", { messages: [{ role: "user", content: "Hi" }] }],
  ["/v1/completions", { prompt: "Hi" }],
  ["/v1/embeddings", { input: "Hi" }],
] as const;

async function ask(path: string, body: object) {
  const services = fakeServices();
  const answer = await post(fakeHttp(services), path, body);
  const { chats, completions, embeddings } = services.chat;
  return { ...answer, requests: [...chats, ...completions, ...embeddings] };
}

describe.each(endpoints)("%s", (path, body) => {
  it.each([
    [{}, null, 0],
    [{ keep_alive: null, priority: null }, null, 0],
    [{ keep_alive: 0 }, 0, 0],
    [{ keep_alive: "0" }, 0, 0],
    [{ keep_alive: 300 }, 300_000, 0],
    [{ keep_alive: 0.5 }, 500, 0],
    [{ keep_alive: "5m" }, 300_000, 0],
    [{ keep_alive: "1h30m" }, 1.5 * hour, 0],
    [{ keep_alive: "300ms" }, 300, 0],
    [{ keep_alive: -1 }, Infinity, 0],
    [{ keep_alive: "-1m" }, Infinity, 0],
    [{ keep_alive: "500h" }, 500 * hour, 0],
    // Longer than a timer can wait.
    [{ keep_alive: "720h" }, Infinity, 0],
    [{ priority: 7 }, null, 7],
    [{ priority: -100, keep_alive: 1 }, 1000, -100],
    [{ priority: 100 }, null, 100],
  ])("takes %j", async (fields, keepAliveMs, priority) => {
    const { status, requests } = await ask(path, { ...body, ...fields });
    expect(status).toBe(200);
    expect(requests.map(({ scheduling }) => scheduling)).toEqual([{ keepAliveMs, priority }]);
  });

  it.each([
    ["keep_alive", "forever", 'received the string "forever"'],
    ["keep_alive", "", 'received the string ""'],
    ["keep_alive", "5 m", 'received the string "5 m"'],
    ["keep_alive", true, "received true"],
    ["keep_alive", {}, "received an object"],
    ["keep_alive", [5], "received an array of 1"],
    ["priority", 101, "an integer from -100 to 100; received 101"],
    ["priority", -101, "an integer from -100 to 100; received -101"],
    ["priority", 1.5, "an integer from -100 to 100; received 1.5"],
    ["priority", "1", 'an integer from -100 to 100; received the string "1"'],
  ])("refuses %s = %j by its name", async (name, value, message) => {
    const { status, body: answer, requests } = await ask(path, { ...body, [name]: value });
    expect(status).toBe(400);
    expect(answer.error).toMatchObject({ param: name, type: "invalid_request_error" });
    const allowed = { keep_alive: 'a number of seconds or a duration such as "5m", "1h30m" or "300ms"; 0 unloads' };
    expect(answer.error.message).toContain(
      `${name} must be ${name === "keep_alive" ? allowed.keep_alive : "an integer"}`,
    );
    expect(answer.error.message).toContain(message);
    expect(requests).toEqual([]);
  });
});

it("is the same for all answers to several prompts", async () => {
  const { requests } = await ask("/v1/completions", { prompt: ["a", "b", "c"], keep_alive: 0, priority: 3 });
  const scheduling = { keepAliveMs: 0, priority: 3 };
  expect(requests.map((request) => request.scheduling)).toEqual([scheduling, scheduling, scheduling]);
});
