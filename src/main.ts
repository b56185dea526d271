#!/usr/bin/env node
// The command line: picks the command, hands it its parts, turns its result into the exit code. Nothing else.
import { openChat, createEngine } from "./app.ts";
import { chat } from "./commands/chat.ts";
import { doctor } from "./commands/doctor.ts";
import { download } from "./commands/download.ts";
import { route } from "./commands/route.ts";
import { serve } from "./commands/serve.ts";
import { loadConfig } from "./config/load.ts";
import { messageOf } from "./core/errors.ts";
import { packageVersion } from "./core/version.ts";

const usage = `gguf-experts ${packageVersion}: expert language models behind one OpenAI-compatible endpoint

Usage: node dist/main.js COMMAND [OPTIONS]

Commands
  serve      answer over HTTP     [--config FILE] [--host ADDRESS] [--port N]
  chat       talk in the terminal [MODEL] [--config FILE]
  route      say which expert answers a prompt, and why
             [--json] [--config FILE] "PROMPT" | --file prompts.jsonl
  doctor     say what this machine is and whether the server would serve
             [--config FILE] [--json]
  download   fetch the experts' GGUF files named in models/manifest.json
             [EXPERT…] [--list] (see ./download-model.sh --help)
  help, --version

Configuration: --config, else $GGUF_EXPERTS_CONFIG, else ./config.json, else five small demonstration experts.
`;

async function help(): Promise<number> {
  process.stdout.write(usage);
  return 0;
}

const configFor = (configPath: string | undefined) =>
  loadConfig({ configPath: configPath ?? null, env: process.env, workingDirectory: process.cwd() });

const commands: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  serve: (args) => serve(args, { loadConfig: configFor }),
  chat: (args) =>
    chat(args, {
      openChat: async (configPath) => openChat(await configFor(configPath)),
      input: process.stdin,
      output: process.stdout,
    }),
  route: (args) => route(args, { loadConfig: configFor }),
  doctor: (args) => doctor(args, { loadConfig: configFor, createEngine }),
  download,
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
