// The `route` command: which expert answers a prompt, and why, without generating. May import config/, routing/, core/;
// the config loader comes as a parameter.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import type { AppConfig } from "../config/config.ts";
import { clip, messageOf } from "../core/errors.ts";
import { createKeywordRouter } from "../routing/keyword-router.ts";
import type { Router, RoutingDecision } from "../routing/router.ts";

export interface RouteParts {
  /** Throws an error whose message lists what is wrong with the file. Undefined: where no --config was given. */
  loadConfig(configPath: string | undefined): Promise<AppConfig>;
  /** What `--file -` reads. Default: standard input. */
  readonly input?: Readable;
  /** Default: standard output. */
  readonly output?: Writable;
  /** Default: standard error. */
  readonly errorOutput?: Writable;
}

interface RouteOptions {
  readonly configPath: string | undefined;
  readonly json: boolean;
  readonly work: { readonly file: string } | { readonly prompt: string };
}

const usage = `Usage: route [--json] [--config FILE] "PROMPT"
       route [--config FILE] --file prompts.jsonl   (lines {"prompt": "…"}; - reads standard input)
`;

/** Exit code: 0, 1 for a file that cannot be read or a malformed line, 2 for arguments that it does not know. */
export async function route(args: readonly string[], parts: RouteParts): Promise<number> {
  const output = parts.output ?? process.stdout;
  const errorOutput = parts.errorOutput ?? process.stderr;
  let options: RouteOptions;
  try {
    options = parseOptions(args);
  } catch (error) {
    errorOutput.write(`route: ${messageOf(error)}\n${usage}`);
    return 2;
  }
  const config = await parts.loadConfig(options.configPath);
  const router = createKeywordRouter({
    experts: config.experts,
    threshold: config.routing.threshold,
    defaultModel: config.defaultModel,
  });
  const { work } = options;
  if ("prompt" in work) {
    const timed = decide(router, work.prompt);
    output.write(
      options.json ? `${JSON.stringify({ ...toJson(timed), reason: timed.decision.reason })}\n` : toText(timed),
    );
    return 0;
  }
  const input = work.file === "-" ? (parts.input ?? process.stdin) : createReadStream(work.file);
  try {
    await pipeline(Readable.from(decideLines(router, input, work.file)), output, { end: false });
    return 0;
  } catch (error) {
    // Whoever read the answers has seen enough, as `head` does.
    if (error instanceof Error && "code" in error && error.code === "EPIPE") return 0;
    const problem = error instanceof LineError ? messageOf(error) : `--file ${work.file}: ${messageOf(error)}`;
    errorOutput.write(`route: ${problem}\n`);
    return 1;
  }
}

function parseOptions(args: readonly string[]): RouteOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: "boolean" }, file: { type: "string" }, config: { type: "string" } },
  });
  const [prompt, ...more] = positionals;
  const common = { configPath: values.config, json: values.json === true };
  if (values.file !== undefined) {
    if (prompt !== undefined) throw new Error("either a PROMPT or --file, not both");
    if (values.file === "") throw new Error("--file is empty; allowed: the path of a JSON Lines file, or -");
    return { ...common, work: { file: values.file } };
  }
  if (prompt === undefined) throw new Error("a PROMPT or --file is missing");
  if (more.length > 0) throw new Error(`one PROMPT, got ${positionals.length}; put it in quotes`);
  return { ...common, work: { prompt } };
}

class LineError extends Error {}

interface TimedDecision {
  readonly decision: RoutingDecision;
  readonly ms: number;
}

function decide(router: Router, prompt: string): TimedDecision {
  const startedMs = performance.now();
  const decision = router.route({ prompt, hasImages: false });
  return { decision, ms: performance.now() - startedMs };
}

async function* decideLines(router: Router, input: Readable, file: string): AsyncGenerator<string> {
  let lineNumber = 0;
  // A path that cannot be opened must end the loop: readline alone would wait for lines for ever.
  const lines = createInterface({ input: Readable.from(input), crlfDelay: Infinity });
  for await (const line of lines) {
    lineNumber += 1;
    if (line.trim() === "") continue;
    const prompt = readPromptLine(line.replace(/^\uFEFF/, ""));
    if (prompt === undefined) {
      const name = file === "-" ? "standard input" : file;
      throw new LineError(
        `${name}, line ${lineNumber}: got ${JSON.stringify(clip(line, 60))}; allowed: a JSON object with a string "prompt"`,
      );
    }
    yield `${JSON.stringify(toJson(decide(router, prompt)))}\n`;
  }
}

function readPromptLine(line: string): string | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null || !("prompt" in value)) return undefined;
    return typeof value.prompt === "string" ? value.prompt : undefined;
  } catch {
    return undefined;
  }
}

function toJson({ decision, ms }: TimedDecision) {
  const { expertId, confidence, source, scores } = decision;
  const rounded = Object.fromEntries(Object.entries(scores).map(([id, score]) => [id, round(score, 4)]));
  return { expert_id: expertId, confidence: round(confidence, 4), source, scores: rounded, ms: round(ms, 3) };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function toText({ decision }: TimedDecision): string {
  const ranked = Object.entries(decision.scores).sort((a, b) => b[1] - a[1]);
  const width = Math.max(...ranked.map(([id]) => id.length));
  const table = ranked.map(([id, score]) => `  ${id.padEnd(width)}  ${score.toFixed(3)}\n`).join("");
  return `${decision.expertId} (${decision.source}, confidence ${decision.confidence.toFixed(2)})\n${decision.reason}\n${table}`;
}
