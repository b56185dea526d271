// The load generator: events cut anywhere, what a streamed answer is measured by, and what its times say.
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { Conversation } from "../../bench/load/conversation.ts";
import { EventStream } from "../../bench/load/event-stream.ts";
import { type Generation, generate, generateWhole } from "../../bench/load/generation.ts";
import { decodeMs, decodeRate, gapsBetween, readTokens } from "../../bench/load/rates.ts";
import { Prompts, wordsOf } from "../../bench/load/words.ts";

describe("a stream of events", () => {
  it.each([1, 5, 1000])("is cut at blank lines when %i bytes come at a time, up to [DONE]", (size) => {
    const text =
      ': heartbeat\n\ndata: {"a":"á"}\n\ndata:2\r\n\r\nevent: x\ndata: 3\ndata: 4\n\ndata: [DONE]\n\ndata: 5\n\n';
    const bytes = Buffer.from(text);
    const stream = new EventStream();
    const events: string[] = [];
    for (let start = 0; start < bytes.length; start += size) {
      events.push(...stream.push(bytes.subarray(start, start + size)));
    }
    expect(events).toEqual(['{"a":"á"}', "2", "3\n4"]);
  });
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const event = (body: unknown) => `data: ${JSON.stringify(body)}\n\n`;
const usage = { prompt_tokens: 9, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 4 } };

describe("a request", () => {
  const wanted = { expertId: "m", prompt: "once", maxTokens: 3 };

  it("asks for a stream at temperature 0 on a connection of its own, and counts text, tokens and cached tokens", async () => {
    const ports = new Set<number>();
    const bodies: unknown[] = [];
    const baseUrl = await serve((request, response) => {
      ports.add(request.socket.remotePort ?? 0);
      let body = "";
      request.on("data", (part: Buffer) => (body += part.toString()));
      request.on("end", () => {
        bodies.push({ path: request.url, ...(JSON.parse(body) as object) });
        response.write(event({ choices: [{ text: "", finish_reason: null }] }));
        response.write(event({ choices: [{ text: " upon", finish_reason: null }] }));
        response.write(event({ choices: [{ text: " a", finish_reason: null }] }));
        response.write(event({ choices: [{ text: "", finish_reason: "length" }] }));
        response.end(event({ choices: [], usage }) + "data: [DONE]\n\n");
      });
    });
    const pieces: number[] = [];
    const answer = await generate(baseUrl, { ...wanted, onText: (count) => pieces.push(count) });
    await generate(baseUrl, wanted);
    expect(answer).toMatchObject({
      text: " upon a",
      promptTokens: 9,
      cachedTokens: 4,
      generatedTokens: 3,
      error: null,
    });
    expect(answer.pieces.map(({ characters }) => characters)).toEqual([5, 2]);
    expect(pieces).toEqual([1, 2]);
    expect(answer.firstTextMs).toBe((answer.pieces[0]?.atMs ?? 0) - answer.startMs);
    expect(bodies[0]).toMatchObject({ path: "/v1/completions", prompt: "once", temperature: 0, stream: true });
    expect(ports.size).toBe(2);
  });

  it("is a chat where messages are given; a conversation sends what was said", async () => {
    const bodies: { path: string | undefined; messages: unknown[] }[] = [];
    const baseUrl = await serve((request, response) => {
      let body = "";
      request.on("data", (part: Buffer) => (body += part.toString()));
      request.on("end", () => {
        bodies.push({ path: request.url, messages: (JSON.parse(body) as { messages: unknown[] }).messages });
        response.end(event({ choices: [{ delta: { content: "yes" }, finish_reason: "stop" }], usage }));
      });
    });
    const chat = new Conversation(baseUrl, "m", "be brief");
    await chat.turn("one?", 4);
    await chat.turn("two?", 4);
    expect(bodies[1]).toEqual({
      path: "/v1/chat/completions",
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: "one?" },
        { role: "assistant", content: "yes" },
        { role: "user", content: "two?" },
      ],
    });
  });

  it.each([
    [503, '{"error":{"code":"model_busy","message":"later"}}', "503 model_busy: later"],
    [502, "<html>", "502 <html>"],
    [200, event({ error: { message: "out of memory" } }), "out of memory"],
    [200, "data: {oops\n\n", "an event that is no JSON: {oops"],
    [200, "data: [DONE]\n\n", "an answer without tokens"],
  ])("answered with %i %j is an error, and never a measurement", async (status, body, error) => {
    const baseUrl = await serve((_, response) => response.writeHead(status).end(body));
    expect(await generate(baseUrl, wanted)).toMatchObject({ error });
    await expect(generateWhole(baseUrl, wanted)).rejects.toThrow(error);
  });

  it("that is aborted keeps what had come", async () => {
    const stop = new AbortController();
    const baseUrl = await serve((_, response) => response.write(event({ choices: [{ text: "so far" }] })));
    const answer = await generate(baseUrl, { ...wanted, signal: stop.signal, onText: () => stop.abort() });
    expect(answer.text).toBe("so far");
    expect(answer.error).not.toBeNull();
  });
});

const streamOf = (times: readonly number[], characters = times.map(() => 1)): Generation => ({
  expertId: "m",
  startMs: 0,
  firstTextMs: times[0] ?? null,
  totalMs: times.at(-1) ?? 0,
  text: "",
  pieces: times.map((atMs, index) => ({ atMs, characters: characters[index] ?? 0 })),
  promptTokens: 10,
  cachedTokens: 4,
  generatedTokens: characters.reduce((sum, count) => sum + count, 0),
  error: null,
});

describe("rates", () => {
  it("one stream: the tokens after the first, by the time they took", () => {
    expect(decodeRate([streamOf([1000, 1100, 1200, 1300])])).toBeCloseTo(10);
  });

  it("several tokens in a piece count by their text", () => {
    expect(decodeRate([streamOf([1000, 1100, 1300], [1, 4, 5])])).toBeCloseTo(30);
  });

  it("several streams: only while all of them generate", () => {
    const late = streamOf([500, 600, 700, 800]);
    const early = streamOf([0, 100, 200, 600, 700]);
    // From 500 to 700: two of the first stream, two of the second.
    expect(decodeRate([late, early])).toBeCloseTo(20);
    expect(decodeRate([streamOf([0, 100]), streamOf([100, 200])])).toBeNull();
    expect(decodeRate([streamOf([0])])).toBeNull();
    expect(decodeRate([])).toBeNull();
  });

  it("gaps count where they overlap the time asked for", () => {
    const stream = streamOf([0, 10, 30, 60, 100]);
    expect(gapsBetween(stream, 0, 1000)).toEqual([10, 20, 30, 40]);
    expect(gapsBetween(stream, 35, 55)).toEqual([30]);
    expect(gapsBetween(stream, 10, 60)).toEqual([20, 30]);
    expect(decodeMs(stream)).toBe(100);
    expect(decodeMs({ pieces: [] })).toBe(0);
  });

  it("tokens read are those that no cache held", () => {
    expect(readTokens([streamOf([1]), streamOf([1])])).toBe(12);
  });
});

describe("prompts", () => {
  it("are the same for a seed and differ between seeds", () => {
    expect(wordsOf(50, 3)).toBe(wordsOf(50, 3));
    const openings = new Set(Array.from({ length: 20 }, (_, seed) => wordsOf(6, seed)));
    expect(openings.size).toBe(20);
  });

  it("have about as many tokens as wanted", () => {
    expect(new Prompts(1.6).ofTokens(256, 1).split(" ")).toHaveLength(160);
    expect(new Prompts(4).ofTokens(1, 1).split(" ")).toHaveLength(1);
  });
});
