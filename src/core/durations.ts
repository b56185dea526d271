// Spans of time as people write and read them. Imports nothing.

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * Milliseconds of "5m", "1h30m", "-1.5h", "300ms", or of a number of seconds, also as text; undefined where it is none.
 */
export function parseDurationMs(duration: string | number): number | undefined {
  if (typeof duration === "number") return Number.isNaN(duration) ? undefined : duration * 1000;
  const match = /^([-+]?)(?:(\d+(?:\.\d+)?)|((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+))$/.exec(
    duration.trim(),
  );
  if (match === null) return undefined;
  const [, sign, seconds, parts = ""] = match;
  let ms = seconds === undefined ? 0 : Number(seconds) * 1000;
  for (const [, amount, unit] of parts.matchAll(/([\d.]+)([a-zµμ]+)/g))
    ms += Number(amount) * (unitMs[unit ?? ""] ?? 0);
  return sign === "-" && ms !== 0 ? -ms : ms;
}

/** "300 ms", "4.2 s", "41 s", "5 min", "1 h 30 min". */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)} h${rest === 0 ? "" : ` ${rest} min`}`;
}
