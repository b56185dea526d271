// Regenerates test/golden/prompt/*.json, one file a vocabulary: what llama-server, of the llama.cpp version that
// node-llama-cpp carries, renders and tokenises. Usage: tsx tools/golden-prompts/main.ts path/to/llama-server [VOCABULARY…]
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ChatMessage } from "../../src/engine/engine.ts";
import { templateNames, templateText, vocabularyFile } from "../../test/prompt/bundle.ts";
import {
  type GoldenAnswer,
  conversationsFor,
  type GoldenConversation,
  goldenDate,
  goldenDetail,
  goldenPairs,
  recorded,
  vocabularies,
} from "../../test/prompt/conversations.ts";
import { writeTinyModel } from "./tiny-model.ts";

const [serverBinary, ...only] = process.argv.slice(2);
if (serverBinary === undefined) throw new Error("Name the llama-server binary.");
const work = mkdtempSync(join(tmpdir(), "golden-prompts-"));
try {
  for (const vocabulary of only.length === 0 ? vocabularies : only) await recordVocabulary(serverBinary, vocabulary);
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function recordVocabulary(binary: string, vocabulary: string): Promise<void> {
  const model = join(work, "model.gguf");
  writeTinyModel(vocabularyFile(vocabulary), model);
  const prompts: Record<string, Record<string, unknown>> = {};
  for (const { template } of goldenPairs(templateNames()).filter((pair) => pair.vocabulary === vocabulary)) {
    const conversations = conversationsFor(vocabulary, template);
    const answers = await recordTemplate(binary, model, template, conversations);
    if (answers === null) {
      console.log(`${vocabulary} ${template}: llama-server does not start with it`);
      continue;
    }
    prompts[template] = Object.fromEntries(
      conversations.flatMap((conversation) => {
        const answer = answers.get(conversation.name);
        if (answer === undefined) return [];
        return [[conversation.name, recorded(answer, goldenDetail(vocabulary, template, conversation))]];
      }),
    );
    console.log(`${vocabulary} ${template}`);
  }
  const path = fileURLToPath(new URL(`../../test/golden/prompt/${vocabulary}.json`, import.meta.url));
  writeFileSync(path, `${JSON.stringify(prompts)}\n`);
}

async function recordTemplate(
  binary: string,
  model: string,
  template: string,
  conversations: readonly GoldenConversation[],
): Promise<Map<string, GoldenAnswer> | null> {
  const port = await freePort();
  const templateFile = join(work, "template.jinja");
  if (template !== "own") writeFileSync(templateFile, templateText(template));
  const options = ["-m", model, "-c", "256", "--port", String(port), "--no-warmup", "-t", "1", "--jinja"];
  const server = spawn(binary, template === "own" ? options : [...options, "--chat-template-file", templateFile], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  const ended = new Promise<"ended">((resolve) => server.once("exit", () => resolve("ended")));
  try {
    const base = `http://127.0.0.1:${port}`;
    if ((await Promise.race([ended, isUp(base)])) === "ended") return null;
    const answers = new Map<string, GoldenAnswer>();
    for (const conversation of conversations) answers.set(conversation.name, await ask(base, conversation));
    return answers;
  } finally {
    server.kill("SIGKILL");
    await ended;
  }
}

async function ask(base: string, conversation: GoldenConversation): Promise<GoldenAnswer> {
  const { messages, tools, addGenerationPrompt, thinks, reasoningEffort } = conversation;
  const rendered = await post(`${base}/apply-template`, {
    messages: messages.map(openaiMessage),
    ...(tools === undefined ? {} : { tools: tools.map((tool) => ({ type: "function", function: tool })) }),
    ...(reasoningEffort === undefined ? {} : { reasoning_effort: reasoningEffort }),
    add_generation_prompt: addGenerationPrompt,
    chat_template_kwargs: {
      date_string: goldenDate.dateString,
      datetime: goldenDate.datetime,
      ...(thinks === undefined ? {} : { enable_thinking: thinks }),
    },
  });
  if (rendered === null) return { text: null, tokens: [] };
  const text = rendered["prompt"] as string;
  const tokenised = await post(`${base}/tokenize`, { content: text, add_special: true, parse_special: true });
  if (tokenised === null) throw new Error(`llama-server did not tokenise ${JSON.stringify(text)}`);
  return { text, tokens: tokenised["tokens"] as number[] };
}

function openaiMessage({ role, content, name, reasoning, toolCalls, toolCallId }: ChatMessage): object {
  return {
    role,
    content,
    ...(name === undefined ? {} : { name }),
    ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
    ...(toolCallId === undefined ? {} : { tool_call_id: toolCallId }),
    ...(toolCalls === undefined
      ? {}
      : {
          tool_calls: toolCalls.map((call) => ({
            id: call.id,
            type: "function",
            function: { name: call.name, arguments: call.arguments },
          })),
        }),
  };
}

async function post(url: string, body: unknown): Promise<Record<string, unknown> | null> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  return response.ok ? ((await response.json()) as Record<string, unknown>) : null;
}

async function isUp(base: string): Promise<"up"> {
  for (;;) {
    const response = await fetch(`${base}/health`).catch(() => null);
    if (response?.ok === true) return "up";
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address !== null ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}
