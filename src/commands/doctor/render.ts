// The doctor's findings as text for people and as JSON for programs. Pure.
import type { DoctorFacts } from "./facts.ts";
import { plural } from "../../core/words.ts";
import { type Finding, type Severity, wouldServe } from "./finding.ts";

const marks: Readonly<Record<Severity, string>> = { ok: "✓", warning: "!", error: "✗", fatal: "✗" };

/** A table for each section; below each finding that asks for it, what to do. Ends with the verdict. */
export function renderText(findings: readonly Finding[]): string {
  const sections = [...new Set(findings.map(({ section }) => section))];
  const tables = sections.map((section) => {
    const rows = findings.filter((finding) => finding.section === section);
    const width = Math.max(...rows.map(({ subject }) => subject.length));
    const indent = " ".repeat(width + 6);
    const lines = rows.flatMap(({ severity, subject, message, advice }) => [
      `  ${marks[severity]} ${subject.padEnd(width)}  ${message.trim().replaceAll("\n", `\n${indent}`)}`,
      ...(advice === null ? [] : [`${indent}→ ${advice}`]),
    ]);
    return [section, ...lines, ""].join("\n");
  });
  return `${tables.join("\n")}\n${verdict(findings)}\n`;
}

function verdict(findings: readonly Finding[]): string {
  if (!wouldServe(findings)) return "✗ The server would not serve.";
  const rest = findings.filter(({ severity }) => severity !== "ok").length;
  return rest === 0
    ? "✓ The server would serve."
    : `! The server would serve; ${plural(rest, "point")} above to look at.`;
}

/** `{"serves", "findings", "facts"}`. */
export function renderJson(facts: DoctorFacts, findings: readonly Finding[]): string {
  return `${JSON.stringify({ serves: wouldServe(findings), findings, facts }, null, 2)}\n`;
}
