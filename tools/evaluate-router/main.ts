// Accuracy of the keyword router on labelled prompts: `tsx tools/evaluate-router/main.ts FILE [--errors SOURCE]`.
// Lines are {"prompt", "expert", "lang", "source"}.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Expert } from "../../src/experts/expert.ts";
import { createKeywordRouter } from "../../src/routing/keyword-router.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    errors: { type: "string" },
    threshold: { type: "string", default: "0" },
    limit: { type: "string", default: "40" },
    skip: { type: "string", default: "" },
  },
});
interface Row {
  prompt: string;
  expert: string;
  lang: string;
  source: string;
}
const file = positionals[0];
if (file === undefined) throw new Error("Name the file of labelled prompts.");
const rows = readFileSync(file, "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line) as Row);

const domains: Readonly<Record<string, Expert["domain"]>> = {
  phi4_fast: "general",
  mistral_balanced: "technical",
  qwen_coder: "coding",
  gemma3_multimodal: "multimodal_expert",
  aya_expanse_multilingual: "multilingual_expert",
};
const router = createKeywordRouter({
  experts: Object.entries(domains).map(([id, domain]) => ({ id, domain, priority: 1, useCases: [] })),
  threshold: Number(values.threshold),
  defaultModel: "mistral_balanced",
});

const started = performance.now();
const results = rows.map((row) => ({ row, decision: router.route({ prompt: row.prompt, hasImages: false }) }));
const elapsedMs = performance.now() - started;
type Result = (typeof results)[number];
const right = ({ row, decision }: Result) => decision.expertId === row.expert;
const share = (part: readonly Result[]) => (part.filter(right).length / part.length).toFixed(3);

function groupBy(key: (row: Row) => string): Map<string, Result[]> {
  const groups = new Map<string, Result[]>();
  for (const result of results) {
    const name = key(result.row);
    groups.set(name, [...(groups.get(name) ?? [])]);
    groups.get(name)?.push(result);
  }
  return groups;
}

if (values.errors !== undefined) {
  const skip = values.skip.split(",").filter((word) => word !== "");
  const wrong = results.filter(
    (result) =>
      !right(result) &&
      `${result.row.source} ${result.row.expert} ${result.row.lang}`.includes(values.errors ?? "") &&
      !skip.some((source) => result.row.source.includes(source)),
  );
  const step = Math.max(1, wrong.length / Number(values.limit));
  for (let index = 0; index < wrong.length; index += step) {
    const result = wrong[Math.floor(index)];
    if (result === undefined) continue;
    const { row, decision } = result;
    const scores = Object.entries(decision.scores).map(([id, score]) => `${id.slice(0, 2)} ${score.toFixed(2)}`);
    console.log(`${row.lang} ${row.expert.slice(0, 5)} <- ${decision.expertId.slice(0, 5)} [${scores.join(" ")}]`);
    console.log(`   ${JSON.stringify(row.prompt.slice(0, 160))}\n   ${decision.reason}`);
  }
} else {
  console.log(`all ${share(results)} of ${rows.length}; ${((1000 * elapsedMs) / rows.length).toFixed(0)} µs a prompt`);
  const groups = groupBy(({ source, expert }) => `${source}|${expert}`);
  const rates = [...groups.values()].map((group) => group.filter(right).length / group.length);
  console.log(`mean over source-expert groups ${(rates.reduce((a, b) => a + b, 0) / rates.length).toFixed(3)}`);
  for (const [name, key] of [
    ["source-expert", ({ source, expert }: Row) => `${source} -> ${expert}`],
    ["expert", ({ expert }: Row) => expert],
    ["language", ({ lang }: Row) => lang],
  ] as const) {
    console.log(`\nby ${name}`);
    for (const [group, members] of [...groupBy(key)].sort(([a], [b]) => a.localeCompare(b))) {
      const chosen = new Map<string, number>();
      for (const { decision } of members) chosen.set(decision.expertId, (chosen.get(decision.expertId) ?? 0) + 1);
      const confusion = [...chosen].sort((a, b) => b[1] - a[1]).map(([id, count]) => `${id.slice(0, 5)} ${count}`);
      console.log(`${share(members)}  n=${members.length}  ${group}  (${confusion.join(", ")})`);
    }
  }
  // Each source counts the same; so does each group of a source's prompts with one label.
  console.log("\nconfidence: mean, accuracy, weight");
  const bins = Array.from({ length: 10 }, () => ({ weight: 0, right: 0, confidence: 0 }));
  for (const group of groups.values()) {
    for (const result of group) {
      const bin = bins[Math.min(9, Math.floor(result.decision.confidence * 10))];
      if (bin === undefined) continue;
      bin.weight += 1 / group.length;
      bin.right += (right(result) ? 1 : 0) / group.length;
      bin.confidence += result.decision.confidence / group.length;
    }
  }
  for (const { weight, right: hit, confidence } of bins) {
    if (weight > 0)
      console.log(`${(confidence / weight).toFixed(2)}  ${(hit / weight).toFixed(2)}  ${weight.toFixed(2)}`);
  }
}
