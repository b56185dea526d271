// A model as Ollama's lists show it. May import engine/ (types) and the pool's.
import { createHash } from "node:crypto";
import type { ModelFileState } from "../../engine/model-files.ts";
import { listedName } from "./names.ts";

export type PresentFile = Extract<ModelFileState, { state: "present" }>;

export interface ModelDetails {
  readonly parent_model: string;
  readonly format: string;
  readonly family: string;
  readonly families: readonly string[];
  readonly parameter_size: string;
  readonly quantization_level: string;
}

export function modelEntry(id: string, file: PresentFile) {
  return {
    name: listedName(id),
    model: listedName(id),
    size: file.info.sizeBytes,
    digest: fileDigest(file),
    details: modelDetails(file),
  };
}

export function modelDetails({ info }: PresentFile): ModelDetails {
  return {
    parent_model: "",
    format: "gguf",
    family: info.architecture,
    families: [info.architecture],
    parameter_size: formatCount(info.parameterCount),
    quantization_level: info.quantization,
  };
}

export const routerDetails: ModelDetails = {
  parent_model: "",
  format: "gguf",
  family: "router",
  families: ["router"],
  parameter_size: "",
  quantization_level: "",
};

export function modifiedAt({ identity }: PresentFile): string {
  return new Date(identity.modifiedMs).toISOString();
}

/** Reading gigabytes to hash them would take minutes: what tells this file from another one is hashed instead. */
export function fileDigest({ identity }: PresentFile): string {
  return digestOf([identity.path, identity.sizeBytes, identity.modifiedMs]);
}

export function digestOf(parts: readonly (string | number)[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** "3.2B", "494.03M", "260K". */
function formatCount(count: number): string {
  if (count >= 1e9) return `${trimmed(count / 1e9, 1)}B`;
  if (count >= 1e6) return `${trimmed(count / 1e6, 2)}M`;
  return count >= 1e3 ? `${Math.round(count / 1e3)}K` : String(count);
}

function trimmed(amount: number, digits: number): string {
  return Number.isInteger(amount) ? String(amount) : amount.toFixed(digits);
}
