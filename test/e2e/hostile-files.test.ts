// Experts whose files are damaged or hostile, beside a good one, in the built server: each is refused with its file's name
// and why, the good one goes on, and what was learnt is still known after a restart.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { defects } from "../support/model-defects.ts";
import { type RunningServer, startServer } from "../support/server-process.ts";
import { fileFolder } from "../support/temporary-folder.ts";
import { tinyModel } from "../support/tiny-models.ts";

const folder = fileFolder();
const expected = {
  truncated: /is truncated: tensor .* ends at byte \d+/,
  wrongMagic: /is not a GGUF file: it starts with "<htm/,
  fullOfNaN: /tensor output_norm\.weight holds values that are no numbers/,
  crashing: /a process that tried to load \S+ was ended by SIGABRT \(GGML_ASSERT\(.*\) failed\)/,
} satisfies Partial<Record<keyof typeof defects, RegExp>>;
const bad = Object.keys(expected) as (keyof typeof expected)[];

let configFile: string;

const fileOf = (id: string) => path.join(folder(), `${id}.gguf`);

beforeAll(async () => {
  const good = readFileSync(await tinyModel("tiny-qwen2"));
  writeFileSync(fileOf("good"), good);
  for (const id of bad) writeFileSync(fileOf(id), defects[id](good));
  configFile = path.join(folder(), "config.json");
  const experts = ["good", ...bad].map((id) => ({ expert_id: id, model_path: fileOf(id), max_model_len: 256 }));
  writeFileSync(configFile, JSON.stringify({ experts, default_model: "good", lazy_loading: { warmup_pool_size: 0 } }));
});

async function serve(): Promise<RunningServer> {
  return startServer({
    args: ["--config", configFile],
    cwd: folder(),
    env: { GGUF_EXPERTS_STATE_DIR: path.join(folder(), "state") },
  });
}

async function ask({ baseUrl }: RunningServer, model: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`${baseUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, max_tokens: 4, messages: [{ role: "user", content: "Hello" }] }),
  });
  return { status: response.status, body: await response.text() };
}

/** What GET /experts says of each, as text. */
async function expertsOf({ baseUrl }: RunningServer): Promise<Map<string, string>> {
  const body = (await (await fetch(`${baseUrl}/experts`)).json()) as { experts: { expert_id: string }[] };
  return new Map(body.experts.map((expert) => [expert.expert_id, JSON.stringify(expert).replaceAll('\\"', '"')]));
}

describe("experts with damaged and hostile files", () => {
  it("are refused with the file and the reason, in answers and in /experts, and the others go on", async () => {
    const server = await serve();
    try {
      const answers = await Promise.all(["good", ...bad].map((id) => ask(server, id)));
      expect(answers[0]).toMatchObject({ status: 200 });
      const experts = await expertsOf(server);
      bad.forEach((id, index) => {
        const { status, body } = answers[index + 1] ?? { status: 0, body: "" };
        const { message } = (JSON.parse(body) as { error: { message: string } }).error;
        expect(message, `expert ${id}`).toContain(fileOf(id));
        expect(message, `expert ${id}`).toMatch(expected[id]);
        expect(message, `expert ${id}`).not.toMatch(/\n|\bat \S+:\d+/);
        expect([404, 503], `${id}: ${message}`).toContain(status);
        expect(experts.get(id), `expert ${id}`).toMatch(expected[id]);
      });
      expect(await ask(server, "good")).toMatchObject({ status: 200 });
    } finally {
      expect(await server.stop()).toBe(0);
    }
    expect(server.output()).not.toMatch(/GGML_ASSERT\S* failed\n.*backtrace|    at /);
  });

  it("are known from the start on after a restart, without another proof", async () => {
    const server = await serve();
    try {
      const experts = await expertsOf(server);
      for (const id of bad) expect(experts.get(id), `expert ${id}`).toMatch(expected[id]);
      expect(await ask(server, "good")).toMatchObject({ status: 200 });
    } finally {
      await server.stop();
    }
  });
});
