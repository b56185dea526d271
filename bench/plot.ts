// Text for a terminal: tables, and a series of bytes as columns of blocks against a limit. Pure. Imports nothing.

const eighths = " ▁▂▃▄▅▆▇█";

export interface PlotOptions {
  readonly columns: number;
  readonly rows: number;
  /** Drawn as a line across; the scale reaches a tenth beyond it, or to the highest value. */
  readonly limit: number;
  readonly label: (value: number) => string;
}

/** Each column shows the highest value of its stretch of the series. */
export function plot(values: readonly number[], { columns, rows, limit, label }: PlotOptions): string {
  if (values.length === 0) return "";
  const width = Math.min(columns, values.length);
  const highest = Array.from({ length: width }, (_, column) => {
    const from = Math.floor((column * values.length) / width);
    const to = Math.max(from + 1, Math.floor(((column + 1) * values.length) / width));
    return values.slice(from, to).reduce((most, value) => Math.max(most, value), 0);
  });
  const top = highest.reduce((most, value) => Math.max(most, value), limit * 1.1);
  const rowHeight = top / rows;
  const limitRow = Math.floor(limit / rowHeight);
  const labels = [label(top), label(limit)];
  const margin = Math.max(...labels.map((text) => text.length));
  const lines: string[] = [];
  for (let row = rows - 1; row >= 0; row--) {
    const cells = highest.map((value) => {
      const filled = Math.round(Math.min(1, Math.max(0, value / rowHeight - row)) * 8);
      return filled === 0 && row === limitRow ? "─" : (eighths[filled] ?? " ");
    });
    const text = row === rows - 1 ? labels[0] : row === limitRow ? labels[1] : row === 0 ? "0" : "";
    lines.push(`${(text ?? "").padStart(margin)} ${row === limitRow ? "┤" : "│"}${cells.join("").trimEnd()}`);
  }
  return lines.join("\n");
}

/** Columns wide enough for their contents; the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((most, row) => Math.max(most, row[column]?.length ?? 0), 0),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
