// The `chat` command: a terminal chat through the server's own use case, with the history kept here.
// May import what stands below commands/; the opened service and the streams come as parameters.
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { parseArgs } from "node:util";
import {
  plainChat,
  type AnswerEnd,
  type AnswerEvent,
  type AnswerTimings,
  type ChatService,
  type Routing,
} from "../chat/contract.ts";
import { clip, messageOf } from "../core/errors.ts";
import type { ChatMessage } from "../engine/engine.ts";
import { ExpertCatalogue } from "../experts/catalogue.ts";
import type { Expert } from "../experts/expert.ts";
import { plural } from "../core/words.ts";

export interface OpenedChat {
  readonly service: ChatService;
  readonly experts: readonly Expert[];
  close(): Promise<void>;
}

export interface ChatParts {
  /** Undefined: where no --config was given. */
  openChat(configPath: string | undefined): Promise<OpenedChat>;
  /** A terminal gets a prompt and line editing; otherwise each line is a prompt and only the answers are written. */
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly output: Writable & { readonly isTTY?: boolean };
  /** Errors go here, so that piped answers stay clean; absent: the process's standard error. */
  readonly errorOutput?: Writable;
}

/**
 * Talks until the input ends, /quit, or a second Ctrl-C. Exit code: 0, 1 when an answer failed and nobody was at a
 * terminal to see it, 2 for arguments that it does not know or an unknown model.
 */
export async function chat(args: readonly string[], parts: ChatParts): Promise<number> {
  const errorOutput = parts.errorOutput ?? process.stderr;
  let configPath: string | undefined;
  let names: readonly string[];
  try {
    const parsed = parseArgs({ args: [...args], options: { config: { type: "string" } }, allowPositionals: true });
    if (parsed.positionals.length > 1) throw new Error(`one MODEL at most, got ${parsed.positionals.join(" ")}`);
    configPath = parsed.values.config;
    names = parsed.positionals;
  } catch (error) {
    errorOutput.write(`chat: ${messageOf(error)}\nUsage: chat [MODEL] [--config FILE]\n`);
    return 2;
  }
  const opened = await parts.openChat(configPath);
  try {
    const interactive = parts.input.isTTY === true && parts.output.isTTY === true;
    const session = new ChatSession(opened, { output: parts.output, errorOutput, interactive });
    const [name] = names;
    if (name !== undefined) {
      const problem = session.chooseModel(name);
      if (problem !== null) {
        errorOutput.write(`chat: ${problem}\n`);
        return 2;
      }
    }
    return await converse(session, parts);
  } finally {
    await opened.close();
  }
}

/** The thin shell: lines in, Ctrl-C and Ctrl-D, until one side has had enough. */
async function converse(session: ChatSession, { input, output }: ChatParts): Promise<number> {
  const { interactive } = session;
  const lines = createInterface({ input, output, terminal: interactive, prompt: interactive ? "> " : "" });
  const promptUser = () => {
    if (interactive) lines.prompt();
  };
  let interrupted = false;
  lines.on("SIGINT", () => {
    if (interrupted) {
      lines.close();
      return;
    }
    interrupted = true;
    if (session.stop()) return;
    output.write("\n(Ctrl-C again, Ctrl-D or /quit leaves)\n");
    promptUser();
  });
  let left = false;
  // A terminal that closes has nobody left to read; the end of piped input only means that no more prompts come.
  lines.once("close", () => {
    left = interactive;
    if (left) session.stop();
  });

  // Taken before anything is awaited: readline keeps lines only for an iterator that exists.
  const iterator = lines[Symbol.asyncIterator]();
  if (interactive) output.write(`${session.greeting()}\n`);
  promptUser();
  for (;;) {
    const next: IteratorResult<string, unknown> = await iterator.next();
    if (next.done === true) break;
    interrupted = false;
    if ((await session.handle(next.value)) === "quit" || left) break;
    promptUser();
  }
  lines.close();
  // The shell's prompt must not stand behind ours.
  if (left) output.write("\n");
  return session.failed && !interactive ? 1 : 0;
}

const help = `/model NAME  talk to one expert; /model auto lets the router choose
/new         forget the conversation
/system TEXT put TEXT in front of the conversation; /system alone removes it
/stats       how the last answer and this session went
/quit        leave (also Ctrl-D); Ctrl-C stops a running answer`;

/** One conversation: its messages, its model and what it has counted. Writes to the output as answers come. */
class ChatSession {
  readonly interactive: boolean;
  /** At least one answer failed. */
  failed = false;
  readonly #service: ChatService;
  readonly #catalogue: ExpertCatalogue;
  readonly #output: Writable;
  readonly #errorOutput: Writable;
  #model: string | null = null;
  #system: string | null = null;
  #history: ChatMessage[] = [];
  #running: AbortController | null = null;
  #last: { readonly routing: Routing; readonly timings: AnswerTimings } | null = null;
  #answers = 0;
  #generatedTokens = 0;

  constructor(
    opened: OpenedChat,
    {
      output,
      errorOutput,
      interactive,
    }: { readonly output: Writable; readonly errorOutput: Writable; readonly interactive: boolean },
  ) {
    this.#service = opened.service;
    this.#catalogue = new ExpertCatalogue(opened.experts);
    this.#output = output;
    this.#errorOutput = errorOutput;
    this.interactive = interactive;
  }

  greeting(): string {
    return `Experts: ${this.#catalogue.ids.join(", ")}. Model: ${this.#model ?? "auto"}. /help lists the commands.`;
  }

  /** Takes an expert's id, an alias or `auto`; returns what is wrong with any other name, else null. */
  chooseModel(name: string): string | null {
    const expert = this.#catalogue.find(name);
    if (expert === undefined && name !== "auto") {
      return `no model ${JSON.stringify(clip(name))}; there are ${this.#catalogue.knownNames.join(", ")} and auto`;
    }
    this.#model = expert?.id ?? null;
    return null;
  }

  /** Stops the running answer; false where none runs. */
  stop(): boolean {
    this.#running?.abort();
    return this.#running !== null;
  }

  async handle(line: string): Promise<"quit" | "next"> {
    const text = line.trim();
    if (text === "") return "next";
    // Only a lone word after the slash is a command: a path at the start of a question is not.
    const [, command, argument = ""] = /^\/([a-z]+)(?:\s+(.*))?$/s.exec(text) ?? [];
    if (command === undefined) await this.#answer(text);
    else if (command === "quit" || command === "exit") return "quit";
    else this.#obey(command, argument);
    return "next";
  }

  #obey(command: string, argument: string): void {
    switch (command) {
      case "help":
        this.#say(help);
        break;
      case "model": {
        const problem = argument === "" ? null : this.chooseModel(argument);
        if (problem === null) this.#say(`Model: ${this.#model ?? "auto"}.`);
        else this.#complain(problem);
        break;
      }
      case "new":
        this.#history = [];
        this.#say("A new conversation.");
        break;
      case "system":
        this.#system = argument === "" ? null : argument;
        this.#say(this.#system === null ? "No system message." : "The system message is set.");
        break;
      case "stats":
        this.#say(this.#stats());
        break;
      default:
        this.#complain(`/${command} is no command; /help lists them.`);
    }
  }

  #stats(): string {
    if (this.#last === null) return "No answer yet.";
    const { routing, timings } = this.#last;
    const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
    const rate = timings.generatedMs > 0 ? (timings.generatedTokens / timings.generatedMs) * 1000 : 0;
    return [
      `Last answer: ${routing.expertId}, ${timings.generatedTokens} tokens in ${seconds(timings.generatedMs)}, ${rate.toFixed(1)} tokens/s`,
      `Prompt: ${timings.promptTokens} tokens, ${timings.cachedTokens} of them from the cache, read in ${seconds(timings.promptMs)}`,
      `First text after ${timings.ttftMs === null ? "-" : seconds(timings.ttftMs)}: queue ${seconds(timings.queueMs)}, load ${seconds(timings.loadMs)}`,
      `Session: ${plural(this.#answers, "answer")}, ${this.#generatedTokens} tokens; ${this.#history.length} messages in the conversation`,
    ].join("\n");
  }

  async #answer(prompt: string): Promise<void> {
    const turn: ChatMessage[] = [...this.#history, { role: "user", content: prompt }];
    const system: ChatMessage[] = this.#system === null ? [] : [{ role: "system", content: this.#system }];
    const running = new AbortController();
    this.#running = running;
    let answer = "";
    let ending: AnswerEnd["reason"] | null = null;
    let problem: string | null = null;
    try {
      const events = this.#service.chat(
        {
          model: this.#model,
          messages: [...system, ...turn],
          maxTokens: null,
          ...plainChat,
        },
        running.signal,
      );
      let routing: Routing | null = null;
      for await (const event of events) {
        if (event.type === "routing") routing = event.routing;
        answer += this.#show(event);
        if (event.type === "end") ending = event.reason;
        if (event.type === "end" && routing !== null) this.#count(routing, event.timings);
      }
    } catch (error) {
      // However a stopped answer ends, it was asked to.
      if (!running.signal.aborted) problem = messageOf(error);
    }
    this.#running = null;
    if (problem !== null) {
      this.failed = true;
      if (answer !== "") this.#say("");
      this.#complain(`error: ${problem}`);
    } else {
      if (answer !== "" || !this.interactive) this.#say("");
      if (running.signal.aborted) this.#note("stopped");
      else if (ending === "length") this.#note("ended at its length limit");
      else if (answer === "") this.#note("the answer is empty");
    }
    // A question without any answer is not part of the conversation: the next one would follow another user message.
    if (answer !== "") this.#history = [...turn, { role: "assistant", content: answer }];
  }

  /** Writes what an event brings to see; returns its text. */
  #show(event: AnswerEvent): string {
    switch (event.type) {
      case "routing": {
        const { expertId, source, confidence, reason } = event.routing;
        this.#note(`${expertId} · ${source === "request" ? "" : `${source} ${confidence.toFixed(2)} · `}${reason}`);
        return "";
      }
      case "text":
        this.#output.write(this.#shown(event.text));
        return event.text;
      case "reasoning":
        // Thinking is shown to who watches, and is no part of the answer.
        if (this.interactive) this.#errorOutput.write(this.#shown(event.text));
        return "";
      case "started":
      case "prefill":
      case "tool_call":
      case "tool_arguments":
      case "end":
        return "";
    }
  }

  /** A model's text must not drive the terminal; in a pipe it stays as it is. */
  #shown(text: string): string {
    return this.interactive ? text.replaceAll(/[^\P{Cc}\n\t]/gu, "") : text;
  }

  #count(routing: Routing, timings: AnswerTimings): void {
    this.#last = { routing, timings };
    this.#answers += 1;
    this.#generatedTokens += timings.generatedTokens;
  }

  #say(text: string): void {
    this.#output.write(`${text}\n`);
  }

  #complain(text: string): void {
    this.#errorOutput.write(`${text}\n`);
  }

  /** A dim line that only a person at a terminal needs. */
  #note(text: string): void {
    if (this.interactive) this.#output.write(`\u001B[2m${text}\u001B[22m\n`);
  }
}
