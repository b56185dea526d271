// `npm run synthesize` as a user meets it: exit codes, one line an error, help.
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runCommandLine } from "../../tools/synthesize/command-line.ts";
import { testFolder } from "../support/temporary-folder.ts";

async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: "", stderr: "" };
  const stream = (name: keyof typeof written, isTTY: boolean) => ({
    isTTY,
    write: (text: string) => {
      written[name] += text;
    },
  });
  const streams = { stdout: stream("stdout", false), stderr: stream("stderr", isTerminal) };
  const code = await runCommandLine(args, streams, new AbortController().signal);
  return { code, ...written };
}

let isTerminal = false;

describe("npm run synthesize", () => {
  it("writes the file it was asked for and says so", async () => {
    const folder = testFolder();
    const out = join(folder, "tiny.gguf");
    const { code, stdout, stderr } = await run("--like", "tiny-phi3", "--quant", "Q8_0", "--out", out, "--stable");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`${out}: tiny-phi3 q8_0, `);
    expect(await readdir(folder)).toEqual(["tiny.gguf"]);
  });

  it("draws its progress for a person", async () => {
    isTerminal = true;
    const { stderr } = await run("--like", "tiny-phi3", "--quant", "q4_0", "--out", join(testFolder(), "tiny.gguf"));
    isTerminal = false;
    expect(stderr).toMatch(/^\rtiny-phi3 \[.*\r?tiny-phi3 \[#{30}\] 100 % of 1\.\d MiB\n$/s);
  });

  it("explains itself", async () => {
    const [help, list] = await Promise.all([run("--help"), run("--list")]);
    expect(help.code).toBe(0);
    for (const option of ["--like", "--quant", "--out", "--seed", "--stable", "--list", "example:"]) {
      expect(help.stdout).toContain(option);
    }
    expect(list.stdout).toMatch(/^qwen2\.5-0\.5b +qwen2 +494 M parameters: f16 /m);
  });

  it.each([
    [
      "an unknown preset",
      ["--like", "gpt-5", "--quant", "q4_0", "--out", "x"],
      2,
      /--like is "gpt-5"; known .*tiny-bert/,
    ],
    ["no preset", ["--quant", "q4_0", "--out", "x"], 2, /--like is missing/],
    ["an unknown format", ["--like", "tiny-qwen2", "--quant", "q3", "--out", "x"], 2, /--quant is "q3"; known .*q6_k/],
    ["no path", ["--like", "tiny-qwen2", "--quant", "q4_0"], 2, /--out is missing/],
    ["a bad seed", ["--like", "tiny-qwen2", "--quant", "q4_0", "--out", "x", "--seed", "1.5"], 2, /--seed is "1\.5"/],
    ["stable bert", ["--like", "tiny-bert", "--quant", "q4_0", "--out", "x", "--stable"], 2, /--stable does not go/],
    ["an unknown option", ["--lkie", "tiny-bert"], 2, /'--lkie'/],
    [
      "a path in a file",
      ["--like", "tiny-qwen2", "--quant", "q4_0", "--out", "/dev/null/x"],
      1,
      /cannot write \/dev\/null/,
    ],
    ["a folder", ["--like", "tiny-qwen2", "--quant", "q4_0", "--out", tmpdir()], 1, /is a folder/],
    // A file system without free blocks.
    [
      "no space",
      ["--like", "tiny-qwen2", "--quant", "q4_0", "--out", "/proc/x.gguf"],
      1,
      /needs \d+ bytes; only 0 are free/,
    ],
  ] as const)("refuses %s in one line", async (_, args, code, message) => {
    const result = await run(...args);
    expect(result.stderr).toMatch(message);
    expect(result.stderr.trim().split("\n")).toHaveLength(1);
    expect(result.code).toBe(code);
  });
});
