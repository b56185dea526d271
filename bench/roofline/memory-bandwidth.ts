// How fast this machine's cores read memory together: every byte of a buffer far larger than the caches, once, in order,
// by the C library's memchr on each of the threads. Nothing is written, nothing computed. Imports only Node.
import { once } from "node:events";
import { Worker } from "node:worker_threads";

const defaultBytes = 512 * 2 ** 20;
const passes = 5;

/** Runs in a worker thread: plain JavaScript, because it is not compiled. */
const reader = `
const { parentPort, workerData } = require("node:worker_threads");
// Filled, so that every page is memory of its own; what is looked for is nowhere in it.
const buffer = Buffer.alloc(workerData.bytes, 1);
parentPort.on("message", () => {
  if (buffer.indexOf(0) !== -1) throw new Error("the buffer has changed");
  parentPort.postMessage("read");
});
parentPort.postMessage("ready");
`;

/** Bytes per second of all threads together, one number for each pass. */
export async function measureReadBandwidth(threads: number, totalBytes = defaultBytes): Promise<number[]> {
  const bytes = Math.floor(totalBytes / threads);
  const workers = Array.from({ length: threads }, () => new Worker(reader, { eval: true, workerData: { bytes } }));
  try {
    await Promise.all(workers.map((worker) => once(worker, "message")));
    const rates: number[] = [];
    for (let pass = 0; pass < passes; pass++) {
      const startMs = performance.now();
      const ends = workers.map((worker) => once(worker, "message"));
      for (const worker of workers) worker.postMessage("go", []);
      await Promise.all(ends);
      rates.push((bytes * threads * 1000) / (performance.now() - startMs));
    }
    return rates;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
