// What a prompt's outward form says: its length, marks of code, sums. Every expression here is linear in the excerpt.
// May import the evidence type and the text.
import type { Evidence } from "./evidence.ts";
import type { PromptText } from "./text.ts";

/** Marks of program text, each with the log-odds for code that one occurrence gives, and the most of all. */
const codeMarks: readonly { readonly mark: RegExp; readonly weight: number; readonly cap: number }[] = [
  { mark: /```/g, weight: 4, cap: 4 },
  { mark: /(?<![\w.])[a-z][\w.]{0,60}\([^()\n]{0,80}\)/gi, weight: 1.5, cap: 3 },
  { mark: /[;{}]\s*(?:\n|$)/g, weight: 2, cap: 4 },
  { mark: /=>|[!=]==?|&&|\|\||::|\+=|\$\{|\$\(/g, weight: 2, cap: 4 },
  {
    mark: /<\/?(?:div|span|p|a|ul|li|table|tr|td|html|body|head|script|style|form|input|button|h[1-6]|br|img\s)[ />]/gi,
    weight: 2,
    cap: 3,
  },
  { mark: /(?<!\w)[a-z]{2,30}[A-Z][A-Za-z]{1,40}/g, weight: 2.5, cap: 4 },
  {
    mark: /(?<!\w)(?!YouTube|WhatsApp|PowerPoint|LinkedIn|TikTok|McDonald|PayPal|LaTeX|DeepMind|OpenAI|ChatGPT|MacBook|SpaceX)(?:[A-Z]{1,4}[a-z]{1,30}){2,6}/g,
    weight: 2.4,
    cap: 4,
  },
  { mark: /(?<!\w)[A-Za-z]{1,40}_[A-Za-z0-9_]{1,60}/g, weight: 1.6, cap: 3.2 },
  {
    mark: /\b(?:def|class|function|fn|func|public|private|static|void|const|let|var|import|from|#include|using|package)\s+[A-Za-z_][\w.]{0,60}\s*(?:[({:=;]|$|\n)/g,
    weight: 2,
    cap: 4,
  },
  {
    mark: /\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE|WHERE|LEFT JOIN|INNER JOIN|GROUP BY|ORDER BY)\b/g,
    weight: 1.5,
    cap: 4,
  },
  {
    mark: /(?<=\w)\.(?:py|js|ts|tsx|jsx|java|c|cpp|h|cs|php|rb|go|rs|sh|sql|html|css|json|xml|ya?ml|txt|csv|jar|exe|dll|log|conf|ini|md|ipynb|bat|tar|gz|zip)\b/gi,
    weight: 2,
    cap: 4,
  },
  { mark: /(?:^|[\s"'(])(?:~|\.{1,2})?\/[\w.*-]{1,40}(?:\/[\w.*-]{0,40})?/g, weight: 1.5, cap: 3 },
  { mark: /(?:^|\s)--?[a-z][a-z-]{0,20}(?=[\s=]|$)/g, weight: 0.8, cap: 1.6 },
  { mark: /(?<![\w$])\$[A-Za-z_]\w{0,40}/g, weight: 2, cap: 3 },
  { mark: /(?:^|\s)(?:\.net|@\w{2,30}|#include)\b/gi, weight: 1.5, cap: 1.5 },
  { mark: /(?:^|\s)["']?\*\.\w{1,5}\b/g, weight: 2.5, cap: 2.5 },
];

const sum = /\d\s{0,3}[-+*/x×÷^%]\s{0,3}\d/i;
const onlySum = /^[\s¿?¡!\d\-+*/x×÷^=().,%€$√]{2,60}$/i;

export function findCodeMarks(text: PromptText): Evidence | undefined {
  let logOdds = 0;
  const hits: string[] = [];
  for (const { mark, weight, cap } of codeMarks) {
    const found = text.excerpt.match(mark);
    if (found === null) continue;
    logOdds += Math.min(cap, weight * found.length);
    hits.push((found[0] ?? "").trim());
  }
  if (logOdds === 0) return undefined;
  return { name: "marks of program text", hits: hits.slice(0, 4), logOdds: { coding: Math.min(7, logOdds) } };
}

export function findSum(text: PromptText): Evidence | undefined {
  if (text.wordCount > 14) return undefined;
  const only = onlySum.test(text.excerpt) && /\d/.test(text.excerpt);
  const found = only ? text.excerpt.trim() : sum.exec(text.excerpt)?.[0];
  if (found === undefined) return undefined;
  return {
    name: "sum",
    hits: [found],
    logOdds: only ? { general: 4, technical: -3 } : { general: 1.3, technical: -1.2 },
  };
}

/** Short prompts are small talk and look-ups, long ones are work. */
export function weighLength(text: PromptText): Evidence | undefined {
  const count = text.wordCount;
  if (count === 0) return undefined;
  if (count <= 3) return length("very short", 1.6);
  if (count <= 8) return length("short", 1.1);
  if (count <= 14) return length("one sentence", 0.4);
  if (count <= 24) return length("long sentence", -0.6);
  if (count <= 60) return length("several sentences", -2);
  return length("long text", -4);
}

function length(name: string, general: number): Evidence {
  return { name, hits: [], logOdds: { general: general / 2, technical: -general / 2 } };
}

/** A question told as a story with several numbers is a problem to work out, not a fact to look up. */
export function findWordProblem(text: PromptText): Evidence | undefined {
  if (text.wordCount < 16) return undefined;
  const numbers = text.excerpt.match(/\d+/g)?.length ?? 0;
  if (numbers < 2 || !text.excerpt.includes("?")) return undefined;
  return { name: "problem with several numbers", hits: [], logOdds: { technical: 1, general: -1 } };
}
