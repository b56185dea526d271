// `doctor --tune` over a fake engine, and once over the real one: what is measured, printed, remembered and closed.
import path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openTuning, type TuningSession } from "../../src/app.ts";
import { tune, type TuningReport } from "../../src/commands/doctor/tune.ts";
import { doctor } from "../../src/commands/doctor.ts";
import type { AppConfig } from "../../src/config/config.ts";
import { silentLogger } from "../../src/core/log.ts";
import { plainGeneration, type MeasuredWork, type ThreadCounts } from "../../src/engine/engine.ts";
import { FileMemory } from "../../src/engine/file-memory.ts";
import { createLlamaEngine } from "../../src/engine/llama/llama-engine.ts";
import { configOf } from "../support/config.ts";
import { expertOf } from "../support/experts.ts";
import { FakeEngine, type FakeFile } from "../support/fake-engine.ts";
import { repositoryRoot } from "../support/server-process.ts";
import { testFolder } from "../support/temporary-folder.ts";

interface Setting {
  readonly files?: Readonly<Record<string, FakeFile>>;
  readonly args?: readonly string[];
  readonly config?: AppConfig;
  readonly keeps?: boolean;
}

const two = configOf([expertOf("phi4_fast"), expertOf("qwen_coder")]);

/** Decode is fastest with one thread, prefill with two. */
const split = ({ kind, threads, tokens }: MeasuredWork) => {
  const elapsedMs = tokens * (kind === "decode" ? 10 * threads : 10 / threads);
  return { elapsedMs, cpuMs: elapsedMs * threads };
};

async function run({ files = {}, args = [], config = two, keeps = true }: Setting = {}) {
  const engine = new FakeEngine({ files });
  const remembered: Record<string, ThreadCounts> = {};
  let closed = 0;
  const session: TuningSession = {
    cores: "AMD EPYC, 2 cores",
    mostThreads: 2,
    look: (file) => engine.files.look(file),
    acquire: async (modelId) => {
      const modelPath = `/models/${modelId}.gguf`;
      const model = await engine.load(
        { path: modelPath, purpose: "text", contextTokens: 2048, slots: 1 },
        { signal: new AbortController().signal, onProgress: () => {} },
      );
      return { modelId, model, queueMs: 0, loadMs: 0, release: () => void model.dispose() };
    },
    remember: async (identity, counts) => {
      remembered[identity.path] = counts;
      return keeps;
    },
    close: async () => {
      closed += 1;
      await engine.dispose();
    },
  };
  let text = "";
  const progress: string[] = [];
  const code = await doctor(["--tune", ...args], {
    loadConfig: () => config,
    createEngine: () => Promise.reject(new Error("--tune judges nothing")),
    openTuning: () => Promise.resolve(session),
    out: (part) => (text += part),
    showProgress: (line) => progress.push(line),
  });
  expect(engine.violations).toEqual([]);
  return { code, text, progress, remembered, closed, engine };
}

describe("doctor --tune", () => {
  it("prints a table for each expert and remembers what is best", async () => {
    const { code, text, remembered, closed, progress } = await run({
      files: { "/models/phi4_fast.gguf": { measure: split } },
    });
    expect(text).toBe(
      [
        "AMD EPYC, 2 cores",
        "",
        "phi4_fast  /models/phi4_fast.gguf",
        "  threads  decode tokens/s  prefill tokens/s  chosen for",
        "        1            100.0             100.0  decode",
        "        2             50.0             200.0  prefill",
        "  ✓ remembered; the server uses it from its next start",
        "",
        "qwen_coder  /models/qwen_coder.gguf",
        "  threads  decode tokens/s  prefill tokens/s  chosen for",
        "        1           1000.0            1000.0  decode, prefill",
        "        2           1000.0            1000.0",
        "  ✓ remembered; the server uses it from its next start",
        "",
      ].join("\n"),
    );
    expect(remembered).toEqual({
      "/models/phi4_fast.gguf": { decode: 1, prefill: 2 },
      "/models/qwen_coder.gguf": { decode: 1, prefill: 1 },
    });
    expect([code, closed]).toEqual([0, 1]);
    expect(progress[0]).toBe("phi4_fast: loading");
    expect(progress).toContain("qwen_coder: measuring, 100 %");
    expect(progress.at(-1)).toBe("");
  });

  it("measures only those that are named, and gives the same as JSON", async () => {
    const { text, remembered } = await run({ args: ["qwen_coder", "--json"] });
    expect(Object.keys(remembered)).toEqual(["/models/qwen_coder.gguf"]);
    const report = JSON.parse(text) as TuningReport;
    expect(report).toMatchObject({
      cores: "AMD EPYC, 2 cores",
      experts: [{ id: "qwen_coder", outcome: { state: "tuned", chosen: { decode: 1, prefill: 1 }, remembered: true } }],
    });
  });

  it("refuses a name that no expert has", async () => {
    const { code, text, closed } = await run({ args: ["qwen"] });
    expect(text).toBe('doctor: unknown expert "qwen"; allowed: phi4_fast, qwen_coder\n');
    expect([code, closed]).toEqual([2, 0]);
  });

  it("goes on without an expert whose file is missing, and measures a shared file once", async () => {
    const shared = expertOf("coder_2", { modelPath: "/models/qwen_coder.gguf" });
    const { code, text, engine } = await run({
      config: configOf([...two.experts, shared]),
      files: { "/models/phi4_fast.gguf": { file: "missing" } },
    });
    expect(code).toBe(0);
    expect(text).toContain("phi4_fast  /models/phi4_fast.gguf\n  ! skipped: /models/phi4_fast.gguf does not exist\n");
    expect(text).toContain("coder_2  /models/qwen_coder.gguf\n  ! skipped: the same file as qwen_coder\n");
    expect(engine.loadCount("/models/qwen_coder.gguf")).toBe(1);
  });

  it("says why an expert could not be measured, measures the others, and exits 1", async () => {
    const { code, text, remembered, closed } = await run({
      files: { "/models/phi4_fast.gguf": { loadError: new Error("it is 2 GiB too large") } },
    });
    expect(text).toContain("  ✗ it is 2 GiB too large\n");
    expect(Object.keys(remembered)).toEqual(["/models/qwen_coder.gguf"]);
    expect([code, closed]).toEqual([1, 1]);
  });

  it("remembers nothing that was measured beside others, and exits 1", async () => {
    const beside = (work: MeasuredWork) => ({ elapsedMs: 1000 * work.tokens, cpuMs: 500 * work.tokens });
    // Its clock is the real one, so that the limit would take 20 seconds.
    const clock = vi.spyOn(performance, "now");
    let nowMs = 0;
    clock.mockImplementation(() => (nowMs += 10_000));
    try {
      const { code, text, remembered } = await run({
        args: ["phi4_fast"],
        files: { "/models/phi4_fast.gguf": { measure: beside } },
      });
      expect(text).toContain("  ! Something else computed on these cores meanwhile: nothing was remembered.\n");
      expect([code, remembered]).toEqual([1, {}]);
    } finally {
      clock.mockRestore();
    }
  });

  it("says that the disk keeps nothing, and exits 1", async () => {
    const { code, text } = await run({ keeps: false });
    expect(text).toContain("  ✗ not remembered: the state folder cannot be written (set GGUF_EXPERTS_STATE_DIR)\n");
    expect(code).toBe(1);
  });

  it("exits 1 where there was nothing to measure", async () => {
    const { code } = await run({
      args: ["phi4_fast"],
      files: { "/models/phi4_fast.gguf": { file: "missing" } },
    });
    expect(code).toBe(1);
  });
});

describe("with the real engine", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("measures, remembers, and the next engine takes what is remembered", async () => {
    const folder = testFolder();
    vi.stubEnv("GGUF_EXPERTS_STATE_DIR", folder);
    const modelPath = path.join(repositoryRoot, "test/data/stories260K.gguf");
    const config = configOf([
      expertOf("stories", { modelPath, contextTokens: 512, minContextTokens: 256, keep: true }),
    ]);
    const session = await openTuning(config);
    const look = await session.look(modelPath);
    if (look.state !== "present") throw new Error(look.reason);
    const quiet: TuningSession = {
      ...session,
      // Whoever runs the tests beside something else gets numbers too.
      acquire: async (modelId) => {
        const lease = await session.acquire(modelId);
        const { model } = lease;
        if (model.kind !== "text") throw new Error("expected a text model");
        const measure = async (work: MeasuredWork) => {
          if (model.measure === null) throw new Error("the native addon does not run here");
          return { ...(await model.measure(work)), cpuMs: Number.POSITIVE_INFINITY };
        };
        return { ...lease, model: { kind: "text", contextTokens: model.contextTokens, measure } as typeof model };
      },
    };
    const { experts } = await tune(config.experts, quiet, () => {});
    const [report] = experts;
    if (report?.outcome.state !== "tuned") throw new Error(JSON.stringify(report));
    const { chosen, counts, remembered } = report.outcome;
    expect(remembered).toBe(true);
    expect(counts.map(({ threads }) => threads)).toContain(1);
    for (const { decode, prefill } of counts) expect(Math.min(decode, prefill)).toBeGreaterThan(0);

    const memory = await FileMemory.open(folder, silentLogger);
    expect(memory.threads(look.identity, session.cores)).toEqual(chosen);
    const logged: unknown[] = [];
    const engine = await createLlamaEngine({
      threads: 2,
      tunedThreads: (identity) => (memory.threads(identity, session.cores) === null ? null : { decode: 1, prefill: 9 }),
      log: { ...silentLogger, info: (fields) => logged.push(fields["threads"]) },
      promptCache: null,
    });
    try {
      const model = await engine.load(
        { path: modelPath, purpose: "text", contextTokens: 256, slots: 1 },
        { signal: new AbortController().signal, onProgress: () => {} },
      );
      if (model.kind !== "text") throw new Error("expected a text model");
      const promptTokens = model.tokenize("Once upon a time", { parseSpecial: false, addSpecial: true });
      const request = {
        ...plainGeneration,
        promptTokens,
        promptField: "prompt",
        maxTokens: 5,
        sampling: { temperature: 0 },
      };
      const events: string[] = [];
      for await (const { type } of model.generate(request, new AbortController().signal)) events.push(type);
      expect(events.at(-1)).toBe("end");
      await model.dispose();
      expect(logged, "never more than the machine has").toEqual([{ decode: 1, prefill: 2 }]);
    } finally {
      await engine.dispose();
    }
  });
});
