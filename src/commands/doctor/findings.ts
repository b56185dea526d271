// Facts to findings: what is well, what is not, and what to do about it. Pure.
import type { DoctorFacts } from "./facts.ts";
import { type Finding, finding } from "./finding.ts";
import { engineFindings, machineFindings } from "./machine-findings.ts";
import { budgetFindings, configFindings, expertFindings, serverFindings } from "./serving-findings.ts";

export function findingsOf(facts: DoctorFacts): Finding[] {
  const { config } = facts;
  return [
    ...machineFindings(facts),
    ...engineFindings(facts),
    ...("problem" in config
      ? [
          finding("Configuration", "File", "fatal", "config_invalid", config.problem, {
            advice: "Correct the file, or name another with --config FILE or GGUF_EXPERTS_CONFIG.",
          }),
        ]
      : [
          ...configFindings(config),
          ...budgetFindings(facts, config),
          ...expertFindings(config),
          ...serverFindings(config),
        ]),
  ];
}
