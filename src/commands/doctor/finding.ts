// One finding: how bad, about what, and what to do about it. Imports nothing.

/**
 * `ok`: as it should be. `warning`: works, but not well. `error`: this part will not work, the server serves without it.
 * `fatal`: the server would not serve.
 */
export type Severity = "ok" | "warning" | "error" | "fatal";

export interface Finding {
  readonly section: "Machine" | "Engine" | "Configuration" | "Experts" | "Server";
  /** What it is about: `CPU`, an expert's id. */
  readonly subject: string;
  readonly severity: Severity;
  /** Stable and machine-readable, for example `cpu_quota_below_one`. */
  readonly code: string;
  /** One line for people. */
  readonly message: string;
  /** What to do about it; null where nothing needs to be done. */
  readonly advice: string | null;
}

export function finding(
  section: Finding["section"],
  subject: string,
  severity: Severity,
  code: string,
  message: string,
  options: { readonly advice?: string } = {},
): Finding {
  return { section, subject, severity, code, message, advice: options.advice ?? null };
}

/** True when `serve` would start and at least one expert would answer: what exit code 0 means. */
export function wouldServe(findings: readonly Finding[]): boolean {
  return findings.every(({ severity }) => severity !== "fatal");
}
