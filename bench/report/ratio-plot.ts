// The suite's ratios as an SVG picture: one bar for each comparison, on a logarithmic scale around 1, with its target as a
// mark. Pure. May import comparison.ts and result-file.ts (types).
import { type Comparison, isMet, ratioOf } from "../comparison.ts";
import type { SuiteResult } from "../result-file.ts";

const rowHeight = 24;
const labelWidth = 560;
const barsWidth = 420;
const margin = 16;
const headHeight = 44;
const smallest = 0.25;
const largest = 8;
const marks = [0.25, 0.5, 1, 2, 4, 8];

export function ratioPlot({ workloads }: Pick<SuiteResult, "workloads">): string {
  const comparisons = workloads.flatMap((workload) => workload.comparisons);
  const height = headHeight + comparisons.length * rowHeight + margin;
  const width = labelWidth + barsWidth + 80;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${margin}" y="18" font-weight="bold">Ratio: above 1 this project is better. Black mark: the target.</text>`,
    ...marks.map((mark) => scaleMark(mark, height)),
    ...comparisons.map((comparison, index) => bar(comparison, headHeight + index * rowHeight)),
    "</svg>",
    "",
  ].join("\n");
}

function positionOf(ratio: number): number {
  const clamped = Math.min(largest, Math.max(smallest, ratio));
  const share = Math.log(clamped / smallest) / Math.log(largest / smallest);
  return labelWidth + share * barsWidth;
}

function scaleMark(mark: number, height: number): string {
  const x = positionOf(mark).toFixed(1);
  return [
    `<line x1="${x}" x2="${x}" y1="${headHeight - 6}" y2="${height - margin}" stroke="${mark === 1 ? "#555" : "#ddd"}"/>`,
    `<text x="${x}" y="${headHeight - 10}" text-anchor="middle" fill="#555">${mark}</text>`,
  ].join("\n");
}

function bar(comparison: Comparison, y: number): string {
  const ratio = ratioOf(comparison);
  const middle = y + rowHeight / 2;
  const label = `<text x="${labelWidth - 8}" y="${middle + 4}" text-anchor="end">${escaped(`${comparison.title}, against ${comparison.against}`)}</text>`;
  if (ratio === null) return `${label}\n<text x="${positionOf(1)}" y="${middle + 4}" fill="#a00"> no result</text>`;
  const [from, to] = [positionOf(1), positionOf(ratio)];
  const met = isMet(comparison);
  const colour = met === null ? "#9aa5b1" : met ? "#2e7d4f" : "#b3372f";
  const target = comparison.target === null ? null : positionOf(comparison.target).toFixed(1);
  return [
    label,
    `<rect x="${Math.min(from, to).toFixed(1)}" y="${y + 4}" width="${Math.max(1, Math.abs(to - from)).toFixed(1)}" height="${rowHeight - 8}" fill="${colour}"/>`,
    ...(target === null
      ? []
      : [
          `<line x1="${target}" x2="${target}" y1="${y + 2}" y2="${y + rowHeight - 2}" stroke="#000" stroke-width="2"/>`,
        ]),
    `<text x="${(Math.max(from, to) + 6).toFixed(1)}" y="${middle + 4}">${ratio.toFixed(2)}</text>`,
  ].join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
