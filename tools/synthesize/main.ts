// `npm run synthesize`: hands the process's arguments, streams and signals to the command line.
import { runCommandLine } from "./command-line.ts";

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
process.exitCode = await runCommandLine(process.argv.slice(2), process, stop.signal);
