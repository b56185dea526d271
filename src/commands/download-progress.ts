// How a running download is shown: one bar that is drawn anew on a terminal, occasional lines anywhere else.
// May import core/ and the progress type.
import { formatBytes } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import type { DownloadProgress } from "../experts/download.ts";

export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const barIntervalMs = 100;
const lineIntervalMs = 5_000;
/** A slow download still shows that it lives. */
const quietIntervalMs = 30_000;
const barCells = 24;
const clearLine = "\r\u001b[K";

export class ProgressReporter {
  readonly #output: ProgressOutput;
  readonly #clock: Clock;
  readonly #label: string;
  #reportedAtMs: number;
  #reportedShare = 0;
  #barIsDrawn = false;

  constructor(output: ProgressOutput, clock: Clock, label: string) {
    this.#output = output;
    this.#clock = clock;
    this.#label = label;
    this.#reportedAtMs = clock.nowMs();
  }

  update(progress: DownloadProgress): void {
    const nowMs = this.#clock.nowMs();
    const sinceMs = nowMs - this.#reportedAtMs;
    if (this.#output.isTTY === true) {
      if (this.#barIsDrawn && sinceMs < barIntervalMs) return;
      const line = barLine(this.#label, progress).slice(0, (this.#output.columns ?? 80) - 1);
      this.#output.write(clearLine + line);
      this.#barIsDrawn = true;
    } else {
      const advanced = shareOf(progress) - this.#reportedShare >= 0.1;
      if (sinceMs < (advanced ? lineIntervalMs : quietIntervalMs)) return;
      this.#output.write(`${this.#label}: ${describe(progress)}\n`);
      this.#reportedShare = shareOf(progress);
    }
    this.#reportedAtMs = nowMs;
  }

  /** A line of its own, above the bar where there is one. */
  note(text: string): void {
    this.clear();
    this.#output.write(`${this.#label}: ${text}\n`);
  }

  /** Removes the bar. */
  clear(): void {
    if (this.#barIsDrawn) this.#output.write(clearLine);
    this.#barIsDrawn = false;
  }
}

function shareOf({ receivedBytes, totalBytes }: DownloadProgress): number {
  return totalBytes === null || totalBytes === 0 ? 0 : receivedBytes / totalBytes;
}

function barLine(label: string, progress: DownloadProgress): string {
  if (progress.totalBytes === null) return `${label} ${describe(progress)}`;
  const filled = Math.floor(shareOf(progress) * barCells);
  return `${label} [${"#".repeat(filled)}${".".repeat(barCells - filled)}] ${describe(progress)}`;
}

function describe(progress: DownloadProgress): string {
  const { receivedBytes, totalBytes, bytesPerSecond } = progress;
  const speed = `${formatBytes(bytesPerSecond)}/s`;
  if (totalBytes === null) return `${formatBytes(receivedBytes)}, ${speed}`;
  const percent = Math.floor(shareOf(progress) * 100);
  const left = bytesPerSecond > 0 ? `, ${formatDuration((totalBytes - receivedBytes) / bytesPerSecond)} left` : "";
  return `${percent} %, ${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)}, ${speed}${left}`;
}

function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
