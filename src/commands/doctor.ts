// The `doctor` command: what this machine is and what will happen on it. Gathers facts, judges them, prints.
// May import what stands below commands/; the config loader and the engine come as parameters.
import { parseArgs } from "node:util";
import type { AppConfig } from "../config/config.ts";
import { messageOf } from "../core/errors.ts";
import type { Engine } from "../engine/engine.ts";
import { packageManifestPath } from "../experts/manifest.ts";
import { gatherFacts } from "./doctor/facts.ts";
import { wouldServe } from "./doctor/finding.ts";
import { findingsOf } from "./doctor/findings.ts";
import { renderJson, renderText } from "./doctor/render.ts";

export interface DoctorParts {
  /** Throws an error whose message lists what is wrong with the file. Undefined: where no --config was given. */
  loadConfig(configPath: string | undefined): AppConfig | Promise<AppConfig>;
  createEngine(): Promise<Engine>;
  /** The folder that holds /proc and /sys. Default: `/`. */
  readonly root?: string;
  /** Default: the package's own. */
  readonly manifestPath?: string;
  /** Default: the process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: standard output. */
  readonly out?: (text: string) => void;
}

/** Exit code: 0 when the server would serve, 1 when not, 2 for arguments that it does not know. */
export async function doctor(args: readonly string[], parts: DoctorParts): Promise<number> {
  const out = parts.out ?? ((text: string) => void process.stdout.write(text));
  let options: { readonly config?: string | undefined; readonly json?: boolean | undefined };
  try {
    options = parseArgs({ args: [...args], options: { config: { type: "string" }, json: { type: "boolean" } } }).values;
  } catch (error) {
    out(`doctor: ${messageOf(error)}\nUsage: doctor [--config FILE] [--json]\n`);
    return 2;
  }
  const facts = await gatherFacts({
    loadConfig: () => parts.loadConfig(options.config),
    createEngine: () => parts.createEngine(),
    manifestPath: parts.manifestPath ?? packageManifestPath,
    env: parts.env ?? process.env,
    root: parts.root ?? "/",
  });
  const findings = findingsOf(facts);
  out(options.json === true ? renderJson(facts, findings) : renderText(findings));
  return wouldServe(findings) ? 0 : 1;
}
