// The terminal chat over a fake use case and in-memory streams; `isTTY` decides between a terminal and a pipe.
import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import {
  defaultScheduling,
  type AnswerEnd,
  type AnswerEvent,
  type AnswerTimings,
  type ChatRequest,
  type ChatService,
} from "../../src/chat/contract.ts";
import { chat } from "../../src/commands/chat.ts";
import { AbandonedError, PublicError } from "../../src/core/errors.ts";
import { expertOf } from "../support/experts.ts";

const experts = [expertOf("phi4_fast", { aliases: ["phi"] }), expertOf("qwen_coder")];

const timings: AnswerTimings = {
  promptTokens: 12,
  cachedTokens: 4,
  generatedTokens: 10,
  promptMs: 250,
  generatedMs: 500,
  reasoningTokens: 0,
  queueMs: 0,
  loadMs: 1500,
  ttftMs: 1800,
};

const routed: AnswerEvent = {
  type: "routing",
  routing: { expertId: "qwen_coder", confidence: 0.8, source: "keywords", reason: "it asks for code" },
};
const end: AnswerEnd = { type: "end", reason: "stop", stopSequence: null, isCompleted: false, timings };
const said = (...texts: string[]): AnswerEvent[] => [
  routed,
  ...texts.map((text) => ({ type: "text" as const, text })),
  end,
];

type Answer = readonly AnswerEvent[] | Error | "hangs";

/** A chat under the test's hand: one answer for each prompt; without one the prompt is said back in capitals. */
class Chat {
  readonly requests: ChatRequest[] = [];
  readonly input: PassThrough & { isTTY?: boolean } = new PassThrough();
  readonly output: PassThrough & { isTTY?: boolean } = new PassThrough();
  readonly errorOutput = new PassThrough();
  readonly code: Promise<number>;
  closed = false;
  aborted = 0;
  text = "";
  errors = "";
  #waiting: (() => void)[] = [];

  constructor(options: { args?: readonly string[]; terminal?: boolean; answers?: readonly Answer[] } = {}) {
    const answers = [...(options.answers ?? [])];
    this.input.isTTY = options.terminal ?? false;
    this.output.isTTY = options.terminal ?? false;
    this.output.on("data", (data: Buffer) => {
      this.text += data.toString();
      for (const check of this.#waiting) check();
    });
    this.errorOutput.on("data", (data: Buffer) => {
      this.errors += data.toString();
      for (const check of this.#waiting) check();
    });
    const service: Pick<ChatService, "chat"> = {
      chat: (request, signal) => this.#answer(request, answers.shift(), signal),
    };
    this.code = chat(options.args ?? [], {
      openChat: () =>
        Promise.resolve({
          service: service as ChatService,
          experts,
          close: () => {
            this.closed = true;
            return Promise.resolve();
          },
        }),
      input: this.input,
      output: this.output,
      errorOutput: this.errorOutput,
    });
  }

  async *#answer(
    request: ChatRequest,
    answer: Answer | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<AnswerEvent, void> {
    this.requests.push(request);
    if (answer instanceof Error) throw answer;
    if (answer === "hangs") {
      yield routed;
      yield { type: "text", text: "one moment" };
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      this.aborted += 1;
      throw new AbandonedError();
    }
    yield* answer ?? said((request.messages.at(-1)?.content ?? "").toUpperCase());
  }

  /** Resolves when one of the outputs has come to hold the text. */
  async shows(part: string): Promise<void> {
    await new Promise<void>((resolve) => {
      const check = () => (this.text.includes(part) || this.errors.includes(part)) && resolve();
      this.#waiting.push(check);
      check();
    });
  }

  /** Pipes the lines in, ends the input and waits for the end. */
  async pipe(...lines: string[]): Promise<number> {
    this.input.end(lines.map((line) => `${line}\n`).join(""));
    return this.code;
  }
}

const contents = (request: ChatRequest | undefined) =>
  request?.messages.map(({ role, content }) => `${role}: ${content}`);

describe("chat in a pipe", () => {
  it("answers each line and writes the answers alone", async () => {
    const talk = new Chat({ answers: [said("Hel", "lo."), said("Good", "bye.")] });
    expect(await talk.pipe("hello", "", "goodbye")).toBe(0);
    expect(talk.text).toBe("Hello.\nGoodbye.\n");
    expect(talk.closed).toBe(true);
  });

  it("answers a last line without a line's end", async () => {
    const talk = new Chat();
    talk.input.end("hello");
    expect(await talk.code).toBe(0);
    expect(talk.text).toBe("HELLO\n");
  });

  it("sends the whole conversation, and lets the router choose", async () => {
    const talk = new Chat();
    await talk.pipe("one", "two");
    expect(contents(talk.requests[1])).toEqual(["user: one", "assistant: ONE", "user: two"]);
    expect(talk.requests[1]).toMatchObject({
      model: null,
      forceRouting: false,
      maxTokens: null,
      stop: [],
      sampling: {},
      scheduling: defaultScheduling,
    });
  });

  it("leaves a question out of the conversation when nothing answered it, and exits 1", async () => {
    const failure = new PublicError("The queue is full.", {
      status: 429,
      type: "rate_limit_error",
      code: "queue_full",
    });
    const talk = new Chat({ answers: [failure] });
    expect(await talk.pipe("one", "two")).toBe(1);
    expect(talk.text).toBe("TWO\n");
    expect(talk.errors).toBe("error: The queue is full.\n");
    expect(contents(talk.requests[1])).toEqual(["user: two"]);
  });

  it("keeps the model's text as it is", async () => {
    const talk = new Chat({ answers: [said("\u001B[31mred")] });
    await talk.pipe("hello");
    expect(talk.text).toBe("\u001B[31mred\n");
  });
});

describe("the commands", () => {
  it("/model chooses by id or alias, back to auto, and refuses the unknown", async () => {
    const talk = new Chat({ args: ["phi"] });
    await talk.pipe("one", "/model qwen_coder", "two", "/model auto", "three", "/model gpt", "/model");
    expect(talk.requests.map(({ model }) => model)).toEqual(["phi4_fast", "qwen_coder", null]);
    expect(talk.errors).toBe('no model "gpt"; there are phi4_fast, phi, qwen_coder and auto\n');
    expect(talk.text).toMatch(/THREE\nModel: auto\.\n$/);
  });

  it("/system stands before the conversation until it is taken away; /new forgets the rest", async () => {
    const talk = new Chat();
    await talk.pipe("/system Be  brief.", "one", "/new", "two", "/system", "three");
    expect(talk.requests.map(contents)).toEqual([
      ["system: Be  brief.", "user: one"],
      ["system: Be  brief.", "user: two"],
      ["user: two", "assistant: TWO", "user: three"],
    ]);
  });

  it("/stats tells of the last answer and the session", async () => {
    const talk = new Chat();
    await talk.pipe("/stats", "one", "two", "/stats");
    expect(talk.text).toMatch(/^No answer yet\.\n/);
    expect(talk.text).toContain("Last answer: qwen_coder, 10 tokens in 0.50 s, 20.0 tokens/s\n");
    expect(talk.text).toContain("Prompt: 12 tokens, 4 of them from the cache, read in 0.25 s\n");
    expect(talk.text).toContain("First text after 1.80 s: queue 0.00 s, load 1.50 s\n");
    expect(talk.text).toContain("Session: 2 answers, 20 tokens; 4 messages in the conversation\n");
  });

  it("/quit leaves what follows unread; a path or an unknown command is told apart", async () => {
    const talk = new Chat();
    expect(await talk.pipe("/etc/hosts is what?", "/stat", "/help", "/quit", "one")).toBe(0);
    expect(talk.requests.map(contents)).toEqual([["user: /etc/hosts is what?"]]);
    expect(talk.errors).toBe("/stat is no command; /help lists them.\n");
    expect(talk.text).toContain("\n/model NAME");
    expect(talk.closed).toBe(true);
  });
});

describe("the arguments", () => {
  it("name a config file and one model", async () => {
    let named: string | undefined;
    const [output, errorOutput] = [new PassThrough(), new PassThrough()];
    const parts = {
      openChat: (configPath: string | undefined) => {
        named = configPath;
        return Promise.reject(new Error("no such file"));
      },
      input: new PassThrough(),
      output,
      errorOutput,
    };
    await expect(chat(["--config", "my.json"], parts)).rejects.toThrow("no such file");
    expect(named).toBe("my.json");
    expect(await chat(["a", "b"], parts)).toBe(2);
    expect(await chat(["--fast"], parts)).toBe(2);
    expect(output.read()).toBe(null);
    expect(String(errorOutput.read())).toMatch(
      /^chat: one MODEL at most, got a b\nUsage: .*\nchat: Unknown option '--fast'/,
    );
  });

  it("refuse an unknown model before anything is asked", async () => {
    const talk = new Chat({ args: ["gpt"] });
    expect(await talk.code).toBe(2);
    expect(talk.text).toBe("");
    expect(talk.errors).toBe('chat: no model "gpt"; there are phi4_fast, phi, qwen_coder and auto\n');
    expect(talk.closed).toBe(true);
  });
});

describe("chat at a terminal", () => {
  const ctrlC = "\u0003";
  const ctrlD = "\u0004";

  it("greets, says in a dim line who answers and why, and Ctrl-D leaves", async () => {
    const talk = new Chat({ terminal: true });
    await talk.shows("Experts: phi4_fast, qwen_coder. Model: auto.");
    talk.input.write("hello\r");
    await talk.shows("\u001B[2mqwen_coder · keywords 0.80 · it asks for code\u001B[22m\nHELLO\n");
    talk.input.write(ctrlD);
    expect(await talk.code).toBe(0);
    expect(talk.closed).toBe(true);
  });

  it("keeps control characters of the model from the terminal", async () => {
    const talk = new Chat({ terminal: true, answers: [said("a\u001B]0;title\u0007b\n\tc\u009B")] });
    talk.input.write("hello\r");
    await talk.shows("a]0;titleb\n\tc\n");
    talk.input.write(ctrlD);
    expect(await talk.code).toBe(0);
  });

  it("Ctrl-C stops the running answer and keeps what was said", async () => {
    const talk = new Chat({ terminal: true, answers: ["hangs"] });
    talk.input.write("hello\r");
    await talk.shows("one moment");
    talk.input.write(ctrlC);
    await talk.shows("\n\u001B[2mstopped\u001B[22m\n");
    talk.input.write("and now?\r");
    await talk.shows("AND NOW?");
    expect(contents(talk.requests[1])).toEqual(["user: hello", "assistant: one moment", "user: and now?"]);
    talk.input.write(ctrlD);
    expect(await talk.code).toBe(0);
    expect(talk.aborted).toBe(1);
  });

  it("a second Ctrl-C leaves", async () => {
    const talk = new Chat({ terminal: true, answers: ["hangs"] });
    talk.input.write("hello\r");
    await talk.shows("one moment");
    talk.input.write(ctrlC);
    talk.input.write(ctrlC);
    expect(await talk.code).toBe(0);
    expect(talk.aborted).toBe(1);
    expect(talk.closed).toBe(true);
  });

  it("Ctrl-C at the prompt only says how to leave, until it comes twice in a row", async () => {
    const talk = new Chat({ terminal: true });
    talk.input.write(ctrlC);
    await talk.shows("(Ctrl-C again, Ctrl-D or /quit leaves)");
    talk.input.write("hello\r");
    await talk.shows("HELLO");
    talk.input.write(ctrlC);
    talk.input.write("again\r");
    await talk.shows("AGAIN");
    talk.input.write(ctrlC);
    talk.input.write(ctrlC);
    expect(await talk.code).toBe(0);
  });

  it("Ctrl-D while an answer runs stops it and leaves, whatever was typed ahead", async () => {
    const talk = new Chat({ terminal: true, answers: ["hangs"] });
    talk.input.write("hello\r");
    await talk.shows("one moment");
    talk.input.write("more\r");
    talk.input.write(ctrlD);
    expect(await talk.code).toBe(0);
    expect(talk.aborted).toBe(1);
    expect(talk.requests).toHaveLength(1);
  });

  it("says when an answer was cut at its length limit or is empty, and errors do not end the talk", async () => {
    const cut: AnswerEvent[] = [routed, { type: "text", text: "begun" }, { ...end, reason: "length" }];
    const talk = new Chat({ terminal: true, answers: [cut, said(), new Error("The model crashed.")] });
    talk.input.write("a\r");
    await talk.shows("begun\n\u001B[2mended at its length limit");
    talk.input.write("b\r");
    await talk.shows("the answer is empty");
    talk.input.write("c\r");
    await talk.shows("error: The model crashed.");
    talk.input.write("d\r");
    await talk.shows("D\n");
    expect(contents(talk.requests[3])).toEqual(["user: a", "assistant: begun", "user: d"]);
    talk.input.write(ctrlD);
    expect(await talk.code).toBe(0);
  });
});
