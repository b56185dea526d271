#!/usr/bin/env node
// The command line: picks the command, hands it its parts, turns its result into the exit code. Nothing else.
// Each command is imported when it is asked for: the supervisor lives beside the models and must not load what they need.
import type { AppConfig } from "./config/config.ts";
import { messageOf } from "./core/errors.ts";
import { packageVersion } from "./core/version.ts";

const usage = `gguf-experts ${packageVersion}: expert language models behind one OpenAI-compatible endpoint

Usage: node dist/main.js COMMAND [OPTIONS]

Commands
  serve      answer over HTTP     [--supervise] [--config FILE] [--host ADDRESS] [--port N]
             --supervise: a second, small process keeps the port and starts the
             server anew when it ends; it gives up, with exit code 1, after 3 ends
             in a row before the server could serve, or 10 within 5 minutes
  chat       talk in the terminal [MODEL] [--config FILE]
  route      say which expert answers a prompt, and why
             [--json] [--config FILE] "PROMPT" | --file prompts.jsonl
  doctor     say what this machine is and whether the server would serve
             [--config FILE] [--json]
             --tune [EXPERT…]: measure instead with how many threads each expert
             is fastest on this machine, up to about 20 s each; the server uses
             it from its next start
  download   fetch the experts' GGUF files named in models/manifest.json
             [EXPERT…] [--list] (see ./download-model.sh --help)
  help, --version

Configuration: --config, else $GGUF_EXPERTS_CONFIG, else ./config.json, else five small demonstration experts.
`;

async function help(): Promise<number> {
  process.stdout.write(usage);
  return 0;
}

const parts = {
  loadConfig: async (configPath: string | undefined): Promise<AppConfig> => {
    const { loadConfig } = await import("./config/load.ts");
    return loadConfig({ configPath: configPath ?? null, env: process.env, workingDirectory: process.cwd() });
  },
};

const commands: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  serve: async (args) => (await import("./commands/serve.ts")).serve(args, parts),
  chat: async (args) => {
    const { chat } = await import("./commands/chat.ts");
    const { openChat } = await import("./app.ts");
    return chat(args, {
      openChat: async (configPath) => openChat(await parts.loadConfig(configPath)),
      input: process.stdin,
      output: process.stdout,
    });
  },
  route: async (args) => (await import("./commands/route.ts")).route(args, parts),
  doctor: async (args) => {
    const { doctor } = await import("./commands/doctor.ts");
    const { createEngine, openTuning } = await import("./app.ts");
    return doctor(args, { ...parts, createEngine: () => createEngine(null), openTuning });
  },
  download: async (args) => (await import("./commands/download.ts")).download(args),
  help,
  version: async () => {
    process.stdout.write(`${packageVersion}\n`);
    return 0;
  },
};

async function main(argv: readonly string[]): Promise<number> {
  const [name = "help", ...args] = argv;
  const aliases: Readonly<Record<string, string>> = { "--help": "help", "-h": "help", "--version": "version" };
  const command = commands[aliases[name] ?? name];
  if (command === undefined) {
    process.stderr.write(
      `gguf-experts: unknown command ${JSON.stringify(name)}; allowed: ${Object.keys(commands).join(", ")}\n`,
    );
    return 2;
  }
  // `download` has a page of its own; the others are short enough for the one above.
  const wantsHelp = name !== "download" && args.some((argument) => argument === "--help" || argument === "-h");
  return wantsHelp ? help() : command(args);
}

// A reader that has seen enough (`doctor | head -1`) is no failure.
process.stdout.on("error", () => process.exit(0));

try {
  // Standard output is written synchronously, so nothing is cut off; what the engine may still hold must not keep the process.
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  // What reaches this point is meant for the operator: one line each, no stack.
  process.stderr.write(`gguf-experts: ${messageOf(error)}\n`);
  process.exit(1);
}
