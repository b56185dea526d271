// Builds the native addon, or compares the one in native/prebuilt with its sources: `npm run build:native -- --help`.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { formatBytes } from "../../src/core/bytes.ts";
import { nativeFolder } from "../../src/engine/llama/native-manifest.ts";
import { buildAddon } from "./build.ts";
import { checkPrebuilt, prebuiltFolder } from "./check.ts";
import { BuildError, findToolchain, ownTarget, type Target, targets } from "./targets.ts";

const help = `Builds the native addon (native/README.md).

usage: npm run build:native -- [--target TARGET] [--prebuilt | --check]

  (nothing)         for this machine, into native/build/, where the server prefers it
  --prebuilt        into native/prebuilt/, which is committed; all targets
  --check           build nothing that stays; is native/prebuilt/ what these sources give? all targets
  --target TARGET   this one only: ${targets.join(", ")}

Exit code: 0 done, 1 failed or different, 2 wrong arguments.
`;

function readArguments() {
  const { values } = parseArgs({
    options: {
      target: { type: "string" },
      prebuilt: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.prebuilt && values.check) throw new Error("--prebuilt and --check exclude each other.");
  const target = targets.find((name) => name === values.target);
  if (values.target !== undefined && target === undefined) {
    throw new Error(`--target is "${values.target}"; allowed: ${targets.join(", ")}.`);
  }
  return { ...values, target };
}

function chosenTargets(target: Target | undefined, isForAll: boolean): readonly Target[] {
  if (target !== undefined) return [target];
  if (isForAll) return targets;
  if (ownTarget !== null) return [ownTarget];
  throw new BuildError(`There is no build for ${process.platform}-${process.arch}; known: ${targets.join(", ")}`);
}

function main(): number {
  let values: ReturnType<typeof readArguments>;
  try {
    values = readArguments();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 2;
  }
  if (values.help) {
    console.log(help);
    return 0;
  }
  try {
    for (const target of chosenTargets(values.target, values.prebuilt || values.check)) {
      if (values.check) {
        console.log(checkPrebuilt(target));
        continue;
      }
      const out = values.prebuilt ? prebuiltFolder(target) : join(nativeFolder, "build", target);
      const { size_bytes: sizeBytes } = buildAddon(findToolchain(target), out, values.prebuilt ? "errors" : "allowed");
      console.log(`${out} (${formatBytes(sizeBytes)})`);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    return 1;
  }
}

process.exitCode = main();
