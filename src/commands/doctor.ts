// The `doctor` command: what this machine is and what will happen on it. Gathers facts, judges them, prints; with --tune it
// measures instead.
// May import what stands below commands/; the config loader and the engine come as parameters.
import { parseArgs } from "node:util";
import type { AppConfig } from "../config/config.ts";
import { messageOf } from "../core/errors.ts";
import type { TuningSession } from "../app.ts";
import type { Engine } from "../engine/engine.ts";
import { packageManifestPath } from "../experts/manifest.ts";
import { gatherFacts } from "./doctor/facts.ts";
import { wouldServe } from "./doctor/finding.ts";
import { findingsOf } from "./doctor/findings.ts";
import { renderJson, renderText } from "./doctor/render.ts";
import { expertsToTune, isAllKept, renderTuning, tune } from "./doctor/tune.ts";

export interface DoctorParts {
  /** Throws an error whose message lists what is wrong with the file. Undefined: where no --config was given. */
  loadConfig(configPath: string | undefined): AppConfig | Promise<AppConfig>;
  createEngine(): Promise<Engine>;
  openTuning(config: AppConfig): Promise<TuningSession>;
  /** The folder that holds /proc and /sys. Default: `/`. */
  readonly root?: string;
  /** Default: the package's own. */
  readonly manifestPath?: string;
  /** Default: the process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: standard output. */
  readonly out?: (text: string) => void;
  /** How far --tune is. Default: standard error where it is a terminal. */
  readonly showProgress?: (text: string) => void;
}

const usage = `Usage: doctor [--config FILE] [--json]
       doctor --tune [EXPERT…] [--config FILE] [--json]
`;

/**
 * Exit code: 0 when the server would serve, 1 when not; with --tune 0 when something was measured and all of it is kept, 1
 * when not; 2 for arguments that it does not know.
 */
export async function doctor(args: readonly string[], parts: DoctorParts): Promise<number> {
  const out = parts.out ?? ((text: string) => void process.stdout.write(text));
  let options: ReturnType<typeof parseOptions>;
  try {
    options = parseOptions(args);
  } catch (error) {
    out(`doctor: ${messageOf(error)}\n${usage}`);
    return 2;
  }
  if (options.tune) {
    const config = await parts.loadConfig(options.config);
    const experts = expertsToTune(config, options.experts);
    if ("unknown" in experts) {
      out(`doctor: unknown expert ${JSON.stringify(experts.unknown)}; allowed: ${experts.allowed.join(", ")}\n`);
      return 2;
    }
    const showProgress = parts.showProgress ?? (process.stderr.isTTY ? redrawLine : () => {});
    const report = await tune(experts, await parts.openTuning(config), showProgress);
    out(options.json ? `${JSON.stringify(report, null, 2)}\n` : renderTuning(report));
    return isAllKept(report) ? 0 : 1;
  }
  const facts = await gatherFacts({
    loadConfig: () => parts.loadConfig(options.config),
    createEngine: () => parts.createEngine(),
    manifestPath: parts.manifestPath ?? packageManifestPath,
    env: parts.env ?? process.env,
    root: parts.root ?? "/",
  });
  const findings = findingsOf(facts);
  out(options.json ? renderJson(facts, findings) : renderText(findings));
  return wouldServe(findings) ? 0 : 1;
}

function parseOptions(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { config: { type: "string" }, json: { type: "boolean", default: false }, tune: { type: "boolean" } },
  });
  const tunes = values.tune === true;
  if (!tunes && positionals.length > 0) throw new Error(`${JSON.stringify(positionals[0])} is only for --tune`);
  return { config: values.config, json: values.json, tune: tunes, experts: positionals };
}

/** Each text takes the place of the one before it; the last one is empty. */
function redrawLine(text: string): void {
  process.stderr.write(`\r\u001b[K${text}`);
}
