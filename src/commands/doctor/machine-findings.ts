// Judges the machine and the engine on it. Pure. May import what stands below commands/.
import { formatBytes } from "../../core/bytes.ts";
import type { Cpu } from "../../machine/cpu.ts";
import { plural } from "../../core/words.ts";
import { formatCpus } from "../../machine/machine.ts";
import type { DoctorFacts } from "./facts.ts";
import { type Finding, finding } from "./finding.ts";

/** The oldest Node that package.json's `engines` takes. */
const minimumNode = [20, 19] as const;
const smallMemoryBytes = 2 ** 30;

export function machineFindings(facts: DoctorFacts): Finding[] {
  const { nodeVersion, machine, memoryLimitBytes, threads, stateFolder } = facts;
  const { cpu, cgroup, memory } = machine;
  const about = finding.bind(null, "Machine");
  const findings: Finding[] = [];

  const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
  const [minimumMajor, minimumMinor] = minimumNode;
  const nodeIsOld = major < minimumMajor || (major === minimumMajor && minor < minimumMinor);
  findings.push(
    nodeIsOld
      ? about("Node", "fatal", "node_too_old", `version ${nodeVersion}; ${minimumNode.join(".")} or newer is needed`, {
          advice: "Install the current release of Node 20 or 22 (https://nodejs.org/en/download).",
        })
      : about("Node", "ok", "node", `version ${nodeVersion}`),
  );

  findings.push(about("CPU", "ok", "cpu", describeCpu(cpu)), featureFinding(cpu));

  if (cgroup.cpuQuota === null) {
    findings.push(about("CPU quota", "ok", "cpu_quota", "none"));
  } else {
    const { value, file } = cgroup.cpuQuota;
    const message = `${formatCpus(value)} (${file})`;
    findings.push(
      value < 1
        ? about("CPU quota", "warning", "cpu_quota_below_one", `${message}: the process stands still in every period`, {
            advice: "Give the container at least 1 CPU (docker: --cpus 1; systemd: CPUQuota=100%).",
          })
        : about("CPU quota", "ok", "cpu_quota", message),
    );
  }
  findings.push(about("Threads", "ok", "threads", `${threads.threads} recommended: ${threads.reason}`));

  const { memoryLimit, memoryCurrentBytes } = cgroup;
  const amounts = [
    `${formatBytes(memory.totalBytes)} RAM`,
    ...(memory.availableBytes === null ? [] : [`${formatBytes(memory.availableBytes)} available`]),
    memoryLimit === null
      ? "no cgroup limit"
      : `cgroup limit ${formatBytes(memoryLimit.value)} (${memoryLimit.file}` +
        `${memoryCurrentBytes === null ? "" : `; ${formatBytes(memoryCurrentBytes)} held, page cache included`})`,
  ];
  findings.push(
    memoryLimitBytes < smallMemoryBytes
      ? about("Memory", "warning", "memory_small", `${amounts.join(", ")}: room for the smallest models only`, {
          advice: "Use a model of at most 0.5B parameters in Q4_0 with a short max_model_len, or give it more memory.",
        })
      : about("Memory", "ok", "memory", amounts.join(", ")),
  );
  findings.push(swapFinding(memory), stateFolderFinding(stateFolder));
  return findings;
}

function describeCpu(cpu: Cpu): string {
  const { online, allowed } = cpu;
  const kinds =
    cpu.coreKinds.length > 1 ? [cpu.coreKinds.map(({ name, count }) => `${count} ${name}`).join(" + ")] : [];
  return [
    cpu.modelName ?? "unknown model",
    ...(cpu.board === null ? [] : [cpu.board]),
    cpu.architecture,
    online.logical === online.physical
      ? plural(online.physical, "core")
      : `${plural(online.physical, "core")} with ${online.logical} hardware threads`,
    ...kinds,
    ...(allowed.logical === online.logical ? [] : [`${allowed.logical} of them allowed by cpuset or affinity`]),
  ].join(", ");
}

/** The features that decide which kernels run, in the kernel's spelling, weakest first. */
const relevantFeatures = {
  "x86-64": ["sse4_2", "f16c", "avx", "fma", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8"],
  arm64: ["asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "svei8mm", "sve2", "sme"],
  other: [],
} as const;

/** Without it the fast integer kernels stay off. */
const neededFeature = { "x86-64": "avx2", arm64: "asimddp", other: null } as const;

function featureFinding(cpu: Cpu): Finding {
  const present = relevantFeatures[cpu.architecture].filter((name) => cpu.features.includes(name));
  const needed = neededFeature[cpu.architecture];
  const message = present.join(" ") || "none known";
  return needed === null || cpu.features.includes(needed)
    ? finding("Machine", "CPU features", "ok", "cpu_features", message)
    : finding("Machine", "CPU features", "warning", "cpu_features_weak", `${message}; ${needed} is missing`, {
        advice: "Expect slow answers: prefer small models. On a VM, let the hypervisor pass the host's CPU features.",
      });
}

function swapFinding({ swapTotalBytes, swapUsedBytes }: DoctorFacts["machine"]["memory"]): Finding {
  if (swapTotalBytes === 0) return finding("Machine", "Swap", "ok", "swap_none", "none");
  const message = `${formatBytes(swapUsedBytes)} of ${formatBytes(swapTotalBytes)} used`;
  return swapUsedBytes > swapTotalBytes / 4
    ? finding("Machine", "Swap", "warning", "swap_used", `${message}: memory is short, answers may stall`, {
        advice: "Stop other programs or lower lazy_loading.ram_budget; `sysctl vm.swappiness=1` keeps models in RAM.",
      })
    : finding("Machine", "Swap", "ok", "swap", message);
}

function stateFolderFinding({ path, problem }: DoctorFacts["stateFolder"]): Finding {
  if (problem === null) return finding("Machine", "State folder", "ok", "state_folder", path ?? "none");
  const message = `${path ?? "none"}: ${problem}, so every start proves the model files anew and predicts their memory`;
  return finding("Machine", "State folder", "warning", "state_folder_unusable", message, {
    advice: "Set GGUF_EXPERTS_STATE_DIR to a folder that this user may write.",
  });
}

export function engineFindings({ engine }: DoctorFacts): Finding[] {
  const about = finding.bind(null, "Engine");
  if ("problem" in engine) {
    return [
      about("Engine", "fatal", "engine_failed", `does not start: ${engine.problem}`, {
        advice: "Run `npm ci` again on this machine: the engine's prebuilt library is chosen by its CPU and system.",
      }),
    ];
  }
  const { name, systemInfo, threads } = engine.description;
  const variant = engine.cpuVariant ?? "single build, no variants";
  return [
    about("Engine", "ok", "engine", name),
    about("CPU backend", "ok", "cpu_backend", `${variant}: ${shortSystemInfo(systemInfo)}`),
    about("Threads", "ok", "engine_threads", `${threads} in use`),
  ];
}

/** "AVX2 = 1 | SVE_CNT = 16 |" as "AVX2 SVE_CNT=16". */
function shortSystemInfo(systemInfo: string): string {
  const entries = systemInfo.replace(/^CPU\s*:/, "").split("|");
  const short = entries.map((entry) => entry.trim().replace(/ = 1$/, "").replace(" = ", "="));
  return short.filter((entry) => entry !== "").join(" ");
}
