// The `route` command through its own parameters: one prompt, a file of prompts, malformed lines.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { route } from "../../src/commands/route.ts";
import type { AppConfig } from "../../src/config/config.ts";
import { builtInConfigPath, loadConfig } from "../../src/config/load.ts";
import { fileFolder } from "../support/temporary-folder.ts";

const folder = fileFolder();

function collect() {
  const stream = new PassThrough();
  let text = "";
  stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return { stream, text: () => text };
}

async function run(args: readonly string[], input = "") {
  const output = collect();
  const errorOutput = collect();
  const configPaths: (string | undefined)[] = [];
  const code = await route(args, {
    loadConfig: async (configPath): Promise<AppConfig> => {
      configPaths.push(configPath);
      return loadConfig({ configPath: builtInConfigPath, env: {}, workingDirectory: folder() });
    },
    input: Readable.from([Buffer.from(input)]),
    output: output.stream,
    errorOutput: errorOutput.stream,
  });
  await new Promise((resolve) => setImmediate(resolve));
  return { code, out: output.text(), err: errorOutput.text(), configPaths };
}

const jsonLines = (text: string) =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("route PROMPT", () => {
  it("prints expert, reason and scores for people", async () => {
    const { code, out } = await run(["write a python function"]);
    expect(code).toBe(0);
    expect(out).toMatch(/^qwen_coder \(keywords, confidence [01]\.\d\d\)\nProgramming: .*python/);
    expect(out.split("\n").filter((line) => line.startsWith("  "))).toHaveLength(5);
  });

  it("prints one JSON object with --json, and hands --config on", async () => {
    const { code, out, configPaths } = await run(["--json", "--config", "some.json", "hola"]);
    expect(code).toBe(0);
    expect(configPaths).toEqual(["some.json"]);
    const [answer, ...more] = jsonLines(out);
    expect(more).toEqual([]);
    expect(Object.keys(answer ?? {})).toEqual(["expert_id", "confidence", "source", "scores", "ms", "reason"]);
    expect(answer).toMatchObject({ expert_id: "phi4_fast", source: "keywords" });
  });
});

describe("route --file", () => {
  it("answers each line in order, whatever else it holds, and skips blank ones", async () => {
    const file = join(folder(), "prompts.jsonl");
    writeFileSync(file, '\uFEFF{"prompt":"hola","id":1}\r\n\n{"prompt":"write a python function"}\n{"prompt":""}');
    const { code, out } = await run(["--file", file]);
    expect(code).toBe(0);
    const answers = jsonLines(out);
    expect(answers.map((answer) => answer["expert_id"])).toEqual(["phi4_fast", "qwen_coder", "mistral_balanced"]);
    expect(answers.map((answer) => answer["source"])).toEqual(["keywords", "keywords", "default"]);
    for (const answer of answers) {
      expect(Object.keys(answer)).toEqual(["expert_id", "confidence", "source", "scores", "ms"]);
    }
  });

  it("reads standard input for -", async () => {
    const { code, out } = await run(["--file", "-"], '{"prompt":"hola"}\n'.repeat(3));
    expect(code).toBe(0);
    expect(jsonLines(out)).toHaveLength(3);
  });

  it.each(["nonsense", '"text"', "null", '{"prompt":5}', '{"text":"hola"}', "[]"])(
    "names the line that is malformed: %s",
    async (bad) => {
      const { code, out, err } = await run(["--file", "-"], `{"prompt":"hola"}\n\n${bad}\n{"prompt":"hola"}\n`);
      expect(code).toBe(1);
      expect(jsonLines(out)).toHaveLength(1);
      expect(err).toBe(
        `route: standard input, line 3: got ${JSON.stringify(bad)}; allowed: a JSON object with a string "prompt"\n`,
      );
    },
  );

  it.each(["missing.jsonl", "."])("says in one line that %s cannot be read", async (name) => {
    const { code, err } = await run(["--file", join(folder(), name)]);
    expect(code).toBe(1);
    expect(err).toMatch(/^route: --file .+: .+\n$/);
    expect(err.split("\n")).toHaveLength(2);
  });
});

describe("arguments", () => {
  it.each([[[]], [["a", "b"]], [["--file", "x", "prompt"]], [["--file", ""]], [["--colour"]]])(
    "refuses %j with the usage",
    async (args) => {
      const { code, out, err, configPaths } = await run(args);
      expect(code).toBe(2);
      expect(out).toBe("");
      expect(err).toMatch(/^route: .+\nUsage: route/);
      expect(configPaths).toEqual([]);
    },
  );
});
