// Judges the configuration, the memory budget, the experts' files and the server's address. Pure.
// May import what stands below commands/.
import { formatBytes } from "../../core/bytes.ts";
import { isLoopback } from "../../core/addresses.ts";
import { plural } from "../../core/words.ts";
import type { ConfigFacts, DoctorFacts, ModelFacts } from "./facts.ts";
import { type Finding, finding } from "./finding.ts";

export function configFindings({ description, warnings, defaultModel }: ConfigFacts): Finding[] {
  const about = finding.bind(null, "Configuration");
  const [file = "", ...notes] = description.lines;
  const message = file.replace(/^Configuration: /, "");
  return [
    notes.length > 0
      ? about("File", "warning", "config_demonstration", message, { advice: notes.join(" ") })
      : about("File", "ok", "config", message),
    ...(description.warning === null
      ? []
      : [
          about("Experts", "warning", "experts_absent", description.warning, {
            advice: "Add them if they are wanted.",
          }),
        ]),
    ...warnings.map((warning) => about("Note", "warning", "config_warning", warning)),
    about("Default", "ok", "default_model", defaultModel),
  ];
}

export function budgetFindings(
  { machine, memoryLimitBytes }: DoctorFacts,
  { budget, experts }: ConfigFacts,
): Finding[] {
  const { memory, cgroup } = machine;
  const message = `${formatBytes(budget.bytes)} for models (${budget.reason})`;
  const needed = Math.min(budget.bytes, sum(experts.map((expert) => predictedBytes(expert) ?? 0)));
  if (budget.bytes > memoryLimitBytes) {
    return [
      finding(
        "Configuration",
        "Budget",
        "warning",
        "budget_over_limit",
        `${message}; this process may hold ${formatBytes(memoryLimitBytes)}: the kernel may kill it`,
        { advice: "Lower lazy_loading.ram_budget, or give the machine or container more memory." },
      ),
    ];
  }
  // What the page cache of model files holds counts as available, also in a cgroup, so only RAM's estimate is used.
  if (memory.availableBytes !== null && needed > memory.availableBytes) {
    return [
      finding(
        "Configuration",
        "Budget",
        "warning",
        "budget_over_available",
        `${message}; ${formatBytes(needed)} would be used, ${formatBytes(memory.availableBytes)} is available now`,
        { advice: "Stop other programs, or lower lazy_loading.ram_budget." },
      ),
    ];
  }
  if (budget.bytes > 0.9 * memoryLimitBytes && (memory.swapTotalBytes === 0 || cgroup.memoryLimit !== null)) {
    return [
      finding(
        "Configuration",
        "Budget",
        "warning",
        "budget_without_reserve",
        `${message} leaves ${formatBytes(memoryLimitBytes - budget.bytes)} for everything else`,
        { advice: "Leave a tenth of the memory to Node and the system: lower memory_threshold or ram_budget." },
      ),
    ];
  }
  return [finding("Configuration", "Budget", "ok", "budget", message)];
}

export function expertFindings(config: ConfigFacts): Finding[] {
  const { budget, experts, embedder, reranker, defaultModel, maxLoadedExperts } = config;
  const about = finding.bind(null, "Experts");
  const servable = experts.filter((expert) => canServe(expert, budget.bytes));
  const findings = experts.map((expert) => modelFinding(expert, budget.bytes));
  if (embedder !== null) {
    findings.push({ ...modelFinding(embedder, budget.bytes), subject: `${embedder.id} (embedding)` });
  }
  if (reranker !== null) {
    findings.push({ ...modelFinding(reranker, budget.bytes), subject: `${reranker.id} (reranking)` });
  }

  if (servable.length === 0) {
    findings.push(
      about("All", "fatal", "no_expert", `none of the ${plural(experts.length, "expert")} can be served`, {
        advice: "Mend at least one of the experts above.",
      }),
    );
    return findings;
  }
  if (!servable.some(({ id }) => id === defaultModel)) {
    findings.push(
      about("Default", "warning", "default_model_unavailable", `${defaultModel}, the default model, cannot be served`, {
        advice: `Mend it, or choose another: default_model or DEFAULT_MODEL=${servable[0]?.id}.`,
      }),
    );
  }
  const others = [embedder, reranker].filter((model) => model !== null);
  const pinned = sum([...servable, ...others].filter(({ keep }) => keep).map(bytesOrNone));
  const largest = Math.max(0, ...servable.filter(({ keep }) => !keep).map(bytesOrNone));
  const together = sum([...servable, ...others].map(bytesOrNone));
  const models = [
    plural(servable.length, "expert"),
    ...(embedder === null ? [] : ["the embedding model"]),
    ...(reranker === null ? [] : ["the reranking model"]),
  ].join(" and ");
  const isBounded = maxLoadedExperts !== null && maxLoadedExperts < servable.length;
  if (pinned + largest > budget.bytes && pinned > 0) {
    findings.push(
      about(
        "Together",
        "warning",
        "pinned_too_large",
        `pinned models hold ${formatBytes(pinned)}: the largest of the others (${formatBytes(largest)}) no longer fits`,
        { advice: "Take `keep` from an expert, or raise lazy_loading.ram_budget." },
      ),
    );
  } else if (together > budget.bytes || isBounded) {
    findings.push(
      about(
        "Together",
        "ok",
        "experts_take_turns",
        `${formatBytes(together)} for ${models}: they take turns in ` +
          formatBytes(budget.bytes) +
          (isBounded ? `, at most ${maxLoadedExperts} at a time` : ""),
      ),
    );
  } else {
    findings.push(about("Together", "ok", "experts_fit", `${formatBytes(together)} for ${models}: all fit`));
  }
  return findings;
}

function modelFinding({ id, path, file, downloadId }: ModelFacts, budgetBytes: number): Finding {
  const about = finding.bind(null, "Experts", id);
  const replace =
    downloadId === null
      ? "Put a whole GGUF file in its place, or correct its model_path."
      : `Delete it, then fetch it again: ./download-model.sh ${downloadId}`;
  switch (file.state) {
    case "missing":
      return about("error", "model_missing", `missing: ${file.reason}`, {
        advice:
          downloadId === null ? "Put the file there, or correct its model_path." : `./download-model.sh ${downloadId}`,
      });
    case "unreadable":
      return about("error", "model_unreadable", `unreadable: ${file.reason}`, {
        advice: `Let the server's user read it: chmod a+r ${path} (and a+x on its folders).`,
      });
    case "invalid":
      return about("error", "model_invalid", `invalid: ${file.reason}`, {
        advice: replace,
      });
    case "folder":
      return about("error", "model_is_folder", `a folder: ${file.reason}`, {
        advice: "Write the path of one GGUF file as its model_path; a folder will do where it holds just one.",
      });
    case "unchecked":
      return about(
        "warning",
        "model_unchecked",
        `present, ${formatBytes(file.sizeBytes)}; not checked without an engine`,
      );
    case "valid": {
      const { info, prediction } = file;
      const size = `${info.architecture} ${info.quantization}, file ${formatBytes(info.sizeBytes)}`;
      if ("problem" in prediction) {
        return about("error", "model_unpredictable", `${size}; its memory cannot be predicted: ${prediction.problem}`, {
          advice: replace,
        });
      }
      const needs = `${size}, ${formatBytes(prediction.bytes)} loaded`;
      return prediction.bytes > budgetBytes
        ? about("error", "model_over_budget", `${needs}: more than the budget of ${formatBytes(budgetBytes)}`, {
            advice:
              "Lower its max_model_len or parallel, take a smaller quantisation, or raise lazy_loading.ram_budget.",
          })
        : about("ok", "model", `${needs}, fits`);
    }
  }
}

function canServe(model: ModelFacts, budgetBytes: number): boolean {
  const bytes = predictedBytes(model);
  // Without an engine the engine's own finding is fatal already.
  return model.file.state === "unchecked" || (bytes !== null && bytes <= budgetBytes);
}

function predictedBytes({ file }: ModelFacts): number | null {
  return file.state === "valid" && "bytes" in file.prediction ? file.prediction.bytes : null;
}

function bytesOrNone(model: ModelFacts): number {
  return predictedBytes(model) ?? 0;
}

export function serverFindings({ host, port, hasApiKeys, listening }: ConfigFacts): Finding[] {
  const about = finding.bind(null, "Server");
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const findings = [
    listening.free
      ? about("Address", "ok", "port_free", `${address} is free`)
      : about(
          "Address",
          "fatal",
          listenCodes[listening.code] ?? "cannot_listen",
          `${address}: ${listenProblem(listening)}`,
          {
            advice: listenAdvice[listening.code] ?? "Set server_config.host and port to an address of this machine.",
          },
        ),
  ];
  if (!hasApiKeys && !isLoopback(host)) {
    findings.push(
      about("Access", "warning", "open_without_key", `${host} is reachable from outside and no API key is asked for`, {
        advice: "Set server_config.api_keys, or bind 127.0.0.1 behind a proxy: anyone who reaches it uses this CPU.",
      }),
    );
  }
  return findings;
}

const listenCodes: Readonly<Record<string, string>> = {
  EADDRINUSE: "port_in_use",
  EACCES: "port_forbidden",
};

const listenAdvice: Readonly<Record<string, string>> = {
  EADDRINUSE:
    "Stop what listens there (`ss -ltnp` names it; perhaps this server already runs), or choose another --port.",
  EACCES: "Choose a port from 1024 up, or allow it: setcap cap_net_bind_service=+ep on the node binary.",
};

function listenProblem({ code, reason }: { readonly code: string; readonly reason: string }): string {
  if (code === "EADDRINUSE") return "the port is in use";
  if (code === "EACCES") return "this user may not listen there";
  return reason;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
