// `report`: rewrites the results section of bench/README.md from a result file, with its picture beside the file. May
// import its neighbours and result-file.ts.
import { readFile, writeFile } from "node:fs/promises";
import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { format } from "prettier";
import { readResult } from "../result-file.ts";
import { replaceSection, resultSection } from "./markdown.ts";
import { ratioPlot } from "./ratio-plot.ts";

const readme = fileURLToPath(new URL("../README.md", import.meta.url));

/** Returns the files that were written. */
export async function writeReport(resultPath: string): Promise<string[]> {
  const result = await readResult(resultPath);
  const plotPath = resultPath.replace(/(\.json)?$/, ".svg");
  await writeFile(plotPath, ratioPlot(result));
  const link = (path: string) => relative(dirname(readme), path);
  const section = resultSection(result, { plot: link(plotPath), samples: link(resultPath) });
  const page = replaceSection(await readFile(readme, "utf8"), section);
  await writeFile(readme, await format(page, { parser: "markdown", printWidth: 120 }));
  return [plotPath, readme];
}
