// The whole command over a recorded machine, a temporary folder of model files and a fake engine.
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { DoctorFacts } from "../../src/commands/doctor/facts.ts";
import { tryListening } from "../../src/commands/doctor/facts.ts";
import type { Finding } from "../../src/commands/doctor/finding.ts";
import { doctor, type DoctorParts } from "../../src/commands/doctor.ts";
import type { AppConfig } from "../../src/config/config.ts";
import type { Expert } from "../../src/experts/expert.ts";
import { layOut } from "../machine/recorded.ts";
import { configOf } from "../support/config.ts";
import { expertOf } from "../support/experts.ts";
import { FakeEngine } from "../support/fake-engine.ts";
import { testFolder } from "../support/temporary-folder.ts";

const maps =
  "7f0000000000-7f0000100000 r-xp 00000000 fe:00 123 /srv/node_modules/x/libggml-base.so\n" +
  "7f0000200000-7f0000300000 r-xp 00000000 fe:00 124 /srv/node_modules/x/libggml-cpu-zen4.so\n";

let folder: string;
let root: string;
beforeEach(() => {
  folder = testFolder();
  root = layOut("x86-64-vm", { "/proc/self/maps": maps });
});

function expert(id: string, file = `${id}.gguf`): Expert {
  const modelPath = join(folder, file);
  return expertOf(id, { description: id, priority: 1, modelPath, contextTokens: 2048, parallel: 2 });
}

const noTuning = () => Promise.reject(new Error("only --tune measures"));

interface JsonOutput {
  readonly serves: boolean;
  readonly findings: readonly Finding[];
  readonly facts: DoctorFacts;
}

async function run(
  config: AppConfig | Error,
  changes: Partial<DoctorParts> = {},
): Promise<{ code: number; text: string; codes: string[]; json: JsonOutput }> {
  let text = "";
  const code = await doctor(["--json"], {
    loadConfig: () => {
      if (config instanceof Error) throw config;
      return config;
    },
    createEngine: () => Promise.resolve(new FakeEngine()),
    openTuning: noTuning,
    root,
    out: (part) => (text += part),
    ...changes,
  });
  const json = JSON.parse(text) as JsonOutput;
  const codes = json.findings.filter(({ severity }) => severity !== "ok").map((finding) => finding.code);
  return { code, text, codes, json };
}

function write(name: string): void {
  writeFileSync(join(folder, name), "GGUF");
}

describe("doctor", () => {
  it("says that a machine with its files, a free port and an engine would serve", async () => {
    write("phi4_fast.gguf");
    const { code, json } = await run(configOf([expert("phi4_fast")]));
    expect(code).toBe(0);
    expect(json.serves).toBe(true);
    expect(json.findings.filter(({ severity }) => severity === "error" || severity === "fatal")).toEqual([]);
    expect(json.facts.machine.cpu.modelName).toBe("AMD EPYC");
    expect(json.facts.engine).toMatchObject({ cpuVariant: "zen4" });
    expect(json.facts.threads).toEqual({ threads: 2, reason: "2 cores" });
  });

  it("prints the same as a table without --json", async () => {
    write("phi4_fast.gguf");
    let text = "";
    const code = await doctor([], {
      loadConfig: () => configOf([expert("phi4_fast"), expert("qwen_coder")]),
      createEngine: () => Promise.resolve(new FakeEngine()),
      openTuning: noTuning,
      root,
      out: (part) => (text += part),
    });
    expect(code).toBe(0);
    expect(text).toMatch(/✓ CPU {2,}AMD EPYC, x86-64, 2 cores\n/);
    expect(text).toMatch(/✓ phi4_fast .*loaded, fits\n/);
    expect(text).toMatch(/✗ qwen_coder {2,}missing: /);
    expect(text).toMatch(/\n! The server would serve; \d points? above to look at\.\n$/);
  });

  it("asks the engine for what each expert takes, and disposes it", async () => {
    write("phi4_fast.gguf");
    const asked: unknown[] = [];
    let disposals = 0;
    const engine = new FakeEngine();
    const { json } = await run(configOf([expert("phi4_fast")]), {
      createEngine: () =>
        Promise.resolve({
          description: engine.description,
          promptCache: null,
          inspect: (path) => engine.inspect(path),
          predictBytes: (spec) => {
            asked.push(spec);
            return Promise.resolve(12_345);
          },
          load: () => Promise.reject(new Error("the doctor loads no model")),
          dispose: () => {
            disposals += 1;
            return Promise.resolve();
          },
        }),
    });
    expect(asked).toEqual([{ path: join(folder, "phi4_fast.gguf"), purpose: "text", contextTokens: 2048, slots: 2 }]);
    expect(json.facts.config).toMatchObject({ experts: [{ file: { state: "valid", prediction: { bytes: 12_345 } } }] });
    expect(disposals).toBe(1);
  });

  it("tells missing, invalid, folder and oversized files apart, and serves the one that is left", async () => {
    for (const name of ["bad.gguf", "huge.gguf", "good.gguf"]) write(name);
    const engine = new FakeEngine({
      files: {
        [join(folder, "bad.gguf")]: { file: "invalid", reason: "ends in the middle of a tensor" },
        [join(folder, "huge.gguf")]: { predictedBytes: 2 ** 40 },
      },
    });
    const experts = [expert("missing"), expert("bad"), expert("huge"), expert("folder", "."), expert("good")];
    const { code, codes, json } = await run(configOf(experts), { createEngine: () => Promise.resolve(engine) });
    expect(codes).toEqual(
      expect.arrayContaining(["model_missing", "model_invalid", "model_over_budget", "default_model_unavailable"]),
    );
    expect(codes.filter((one) => one === "model_invalid")).toHaveLength(1);
    expect(json.findings.find(({ subject }) => subject === "folder")).toMatchObject({
      code: "model_is_folder",
      message: expect.stringContaining("bad.gguf, good.gguf, huge.gguf"),
      advice: "Write the path of one GGUF file as its model_path; a folder will do where it holds just one.",
    });
    expect(json.findings.find(({ subject }) => subject === "bad")?.message).toContain("ends in the middle of a tensor");
    expect(code).toBe(0);
  });

  // Root reads every file, whatever its mode.
  it.skipIf(process.getuid?.() === 0)("says that a file may not be read", async () => {
    write("phi4_fast.gguf");
    chmodSync(join(folder, "phi4_fast.gguf"), 0);
    expect((await run(configOf([expert("phi4_fast")]))).codes).toContain("model_unreadable");
  });

  it("names the download only for a file that the manifest would bring", async () => {
    const manifestPath = join(folder, "manifest.json");
    const manifest = JSON.parse(readFileSync(new URL("../../models/manifest.json", import.meta.url), "utf8")) as {
      experts: { expert_id: string; files: { role: string; file: string }[] }[];
    };
    writeFileSync(manifestPath, JSON.stringify(manifest));
    const known = manifest.experts[0];
    const file = known?.files.find(({ role }) => role === "model")?.file;
    if (known === undefined || file === undefined) throw new Error("the manifest names no model");
    const elsewhere = join("elsewhere", file);
    const experts = [
      expert(known.expert_id, file),
      expert("another_name", file),
      expert("own"),
      expert("moved", elsewhere),
    ];
    const { json } = await run(configOf(experts), { manifestPath });
    const advice = json.findings.filter(({ code }) => code === "model_missing").map((finding) => finding.advice);
    expect(advice).toEqual([
      `./download-model.sh ${known.expert_id}`,
      `./download-model.sh ${known.expert_id}`,
      "Put the file there, or correct its model_path.",
      "Put the file there, or correct its model_path.",
    ]);
  });

  it("says where the state folder is, and whether it can be written", async () => {
    const stateOf = async (env: Record<string, string>) => {
      const { json } = await run(configOf([expert("phi4_fast")]), { env });
      return json.findings.find(({ subject }) => subject === "State folder");
    };
    const wanted = join(folder, "not", "there", "yet");
    expect(await stateOf({ GGUF_EXPERTS_STATE_DIR: wanted })).toMatchObject({ severity: "ok", message: wanted });
    expect(await stateOf({})).toMatchObject({ severity: "warning", code: "state_folder_unusable" });
    write("phi4_fast.gguf");
    const inFile = join(folder, "phi4_fast.gguf", "state");
    expect(await stateOf({ GGUF_EXPERTS_STATE_DIR: inFile })).toMatchObject({
      severity: "warning",
      message: expect.stringContaining(`${join(folder, "phi4_fast.gguf")} is no folder`),
    });
  });

  it("exits 1 when no expert is left", async () => {
    const { code, codes } = await run(configOf([expert("phi4_fast")]));
    expect(code).toBe(1);
    expect(codes).toContain("no_expert");
  });

  it("exits 1 with the loader's own words for a bad configuration, and still looks at the machine", async () => {
    const { code, json } = await run(new Error("five.json: experts: none\nfive.json: default_model: 3"));
    expect(code).toBe(1);
    expect(json.facts.config).toEqual({ problem: "five.json: experts: none\nfive.json: default_model: 3" });
    expect(json.facts.machine.cpu.modelName).toBe("AMD EPYC");
  });

  it("exits 1 when the engine does not start, and still says which files are there", async () => {
    write("phi4_fast.gguf");
    const { code, json } = await run(configOf([expert("phi4_fast"), expert("qwen_coder")]), {
      createEngine: () => Promise.reject(new Error("no prebuilt binary")),
    });
    expect(code).toBe(1);
    expect(json.facts.engine).toEqual({ problem: "no prebuilt binary" });
    expect(json.facts.config).toMatchObject({
      experts: [{ file: { state: "unchecked", sizeBytes: 4 } }, { file: { state: "missing" } }],
    });
  });

  it("exits 1 when the port is in use", async () => {
    write("phi4_fast.gguf");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const { code, codes } = await run(configOf([expert("phi4_fast")], { port }));
      expect(code).toBe(1);
      expect(codes).toContain("port_in_use");
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    expect(await tryListening("127.0.0.1", port)).toEqual({ free: true });
  });

  it("says that an address is not one of this machine's", async () => {
    // 192.0.2.0/24 is for documentation only.
    expect(await tryListening("192.0.2.1", 0)).toMatchObject({ free: false, code: "EADDRNOTAVAIL" });
  });

  it("never prints an API key", async () => {
    write("phi4_fast.gguf");
    const { text, codes } = await run(
      configOf([expert("phi4_fast")], { host: "0.0.0.0", apiKeys: ["sk-very-secret"] }),
    );
    expect(text).not.toContain("sk-very-secret");
    expect(codes).not.toContain("open_without_key");
  });

  it("passes --config on, and refuses arguments that it does not know", async () => {
    let text = "";
    let named: string | undefined;
    const parts: DoctorParts = {
      loadConfig: (configPath) => {
        named = configPath;
        throw new Error("no");
      },
      createEngine: () => Promise.resolve(new FakeEngine()),
      openTuning: noTuning,
      root,
      out: (part) => (text += part),
    };
    expect(await doctor(["--config", "my.json"], parts)).toBe(1);
    expect(named).toBe("my.json");
    text = "";
    expect(await doctor(["--fix"], parts)).toBe(2);
    expect(text).toMatch(/^doctor: Unknown option '--fix'.*\nUsage: doctor \[--config FILE\] \[--json\]\n/s);
    text = "";
    expect(await doctor(["phi4_fast"], parts)).toBe(2);
    expect(text).toMatch(/^doctor: "phi4_fast" is only for --tune\n/);
  });
});
