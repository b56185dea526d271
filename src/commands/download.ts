// The `download` command: which of the manifest's files are missing here, and fetching them one after another.
// May import what stands below commands/; streams, environment and CPU come as a parameter.
import { open, stat } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { formatBytes } from "../core/bytes.ts";
import { messageOf } from "../core/errors.ts";
import {
  DownloadError,
  downloadFile,
  UnreachableError,
  reservedDiskBytes,
  systemRuntime,
  type DownloadRuntime,
} from "../experts/download.ts";
import {
  chooseFile,
  loadManifest,
  ManifestError,
  type CpuTraits,
  type Manifest,
  type ManifestExpert,
  type ManifestFile,
  type ManifestVariant,
} from "../experts/manifest.ts";
import { ggufMagic, partPath } from "../experts/part-file.ts";
import { hashFile, readVerifiedFile, writeVerifiedFile, type VerifiedFile } from "../experts/verified-file.ts";
import { readCpu } from "../machine/cpu.ts";
import { ProgressReporter, type ProgressOutput } from "./download-progress.ts";

export interface DownloadParts {
  /** The list and the help. */
  readonly output: ProgressOutput;
  /** Progress, summary and errors, so that a command that follows has stdout to itself. */
  readonly progress: ProgressOutput;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cpu: CpuTraits;
  readonly runtime: DownloadRuntime;
}

const modelsFolder = fileURLToPath(new URL("../../models", import.meta.url));

const usage = `Usage: download [EXPERT…] [options]

Fetches the GGUF files that models/manifest.json names. Without EXPERT: the five experts.

  --all           every file of the manifest: the optional entries too, and the image projectors (mmproj), which
                  this version does not use yet
  --list          show the files and what is here, fetch nothing
  --quant Q       this quantisation (for example Q4_K_M) instead of the one that suits this CPU
  --dir D         folder for the files (default: models/ of this installation)
  --manifest F    another manifest
  --base-url U    fetch from this mirror; the paths of the manifest's URLs are kept
                  (or set GGUF_EXPERTS_MODEL_BASE_URL)
  --verify        hash files that are already here again, and replace damaged ones
  --force         fetch even what is already here

HF_TOKEN, where it is set, opens repositories that ask for a login.
Exit code: 0 everything is here, 1 something failed, 2 wrong arguments.
`;

/** Runs the command. Exit code: 0 when every file is here, 1 when something failed, 2 for wrong arguments. */
export async function download(args: readonly string[], parts: DownloadParts = systemParts()): Promise<number> {
  try {
    const options = readArguments(args, parts.environment);
    if (options.help) {
      parts.output.write(usage);
      return 0;
    }
    const manifest = await loadManifest(options.manifestPath);
    const jobs = selectExperts(manifest, options).flatMap((expert) => planExpert(expert, options, parts.cpu));
    if (options.list) {
      parts.output.write(await renderList(jobs));
      return 0;
    }
    return await withInterruption((signal) => new Session(options, parts, signal).run(jobs));
  } catch (error) {
    if (error instanceof UsageError) {
      parts.progress.write(`download: ${error.message}\nSee: download --help\n`);
      return 2;
    }
    if (error instanceof ManifestError) {
      parts.progress.write(`download: ${error.message}\n`);
      return 1;
    }
    throw error;
  }
}

function systemParts(): DownloadParts {
  return {
    output: process.stdout,
    progress: process.stderr,
    environment: process.env,
    cpu: readCpu(),
    runtime: systemRuntime,
  };
}

class UsageError extends Error {}
class InterruptedError extends Error {}

interface Options {
  readonly help: boolean;
  readonly list: boolean;
  readonly all: boolean;
  readonly verify: boolean;
  readonly force: boolean;
  readonly expertIds: readonly string[];
  readonly quantization: string | null;
  readonly manifestPath: string;
  readonly folder: string;
  readonly baseUrl: URL | null;
  readonly token: string | null;
}

function readArguments(args: readonly string[], environment: DownloadParts["environment"]): Options {
  const { values, positionals } = parseOrExplain(args);
  if (values.all === true && positionals.length > 0)
    throw new UsageError(`--all fetches every entry; leave out ${positionals.join(" ")}`);
  const base = values["base-url"] ?? (environment["GGUF_EXPERTS_MODEL_BASE_URL"] || undefined);
  if (base !== undefined && !(URL.canParse(base) && /^https?:$/.test(new URL(base).protocol)))
    throw new UsageError(`the base URL must be an http or https URL, got ${JSON.stringify(base)}`);
  return {
    help: values.help === true,
    list: values.list === true,
    all: values.all === true,
    verify: values.verify === true,
    force: values.force === true,
    expertIds: [...new Set(positionals)],
    quantization: values.quant?.toUpperCase() ?? null,
    manifestPath: resolve(values.manifest ?? join(modelsFolder, "manifest.json")),
    folder: resolve(values.dir ?? modelsFolder),
    baseUrl: base === undefined ? null : new URL(base),
    token: environment["HF_TOKEN"] || null,
  };
}

function parseOrExplain(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: "boolean", short: "h" },
        all: { type: "boolean" },
        list: { type: "boolean" },
        verify: { type: "boolean" },
        force: { type: "boolean" },
        quant: { type: "string" },
        manifest: { type: "string" },
        dir: { type: "string" },
        "base-url": { type: "string" },
      },
    });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

/** One file to have. */
interface Job {
  readonly expert: ManifestExpert;
  readonly file: ManifestFile;
  readonly variant: ManifestVariant;
  /** Asked for by name: another quantisation that is here does not do. */
  readonly quantizationIsAsked: boolean;
  readonly label: string;
  readonly path: string;
}

function selectExperts(manifest: Manifest, options: Options): readonly ManifestExpert[] {
  if (options.expertIds.length === 0)
    return manifest.experts.filter((expert) => options.all || options.list || expert.isDefault);
  return options.expertIds.map((id) => {
    const found = manifest.experts.find((expert) => expert.expertId === id);
    if (found !== undefined) return found;
    const known = manifest.experts.map((expert) => expert.expertId).join(", ");
    throw new UsageError(`${JSON.stringify(id)} is no entry of the manifest. Known: ${known}`);
  });
}

function planExpert(expert: ManifestExpert, options: Options, cpu: CpuTraits): readonly Job[] {
  // The server takes no images yet: only who asks for everything gets the projectors.
  const files = expert.files.filter(({ role }) => role === "model" || options.all || options.list);
  return files.map((file) => {
    const asked = file.role === "model" ? options.quantization : null;
    const variant =
      asked === null ? chooseFile(file, cpu) : file.variants.find(({ quantization }) => quantization === asked);
    if (variant === undefined) {
      const known = file.variants.map(({ quantization }) => quantization).join(", ");
      throw new UsageError(`${expert.expertId} is not there as ${asked}. Known: ${known}`);
    }
    return {
      expert,
      file,
      variant,
      quantizationIsAsked: asked !== null,
      label: file.role === "model" ? expert.expertId : `${expert.expertId} (${file.role})`,
      path: join(options.folder, file.file),
    };
  });
}

async function renderList(jobs: readonly Job[]): Promise<string> {
  const rows = await Promise.all(
    jobs.map(async ({ expert, variant, label, path }) => {
      const here = await sizeOf(path);
      const record = await readVerifiedFile(path);
      const state =
        here === null
          ? "missing"
          : `here, ${formatBytes(here)}${record?.quantization ? ` ${record.quantization}` : ""}`;
      return [label, expert.model, variant.quantization, sizeText(variant), expert.license.name, state, shown(path)];
    }),
  );
  const table = [["EXPERT", "MODEL", "FOR THIS CPU", "SIZE", "LICENCE", "STATE", "FILE"], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = table.map((row) => row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join("  "));
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

/** Ctrl-C ends the download, not what has arrived of it. */
async function withInterruption(run: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const controller = new AbortController();
  const interrupt = () => controller.abort(new InterruptedError());
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  try {
    return await run(controller.signal);
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

class Session {
  readonly #options: Options;
  readonly #parts: DownloadParts;
  readonly #signal: AbortSignal;
  readonly #unreachableHosts = new Set<string>();

  constructor(options: Options, parts: DownloadParts, signal: AbortSignal) {
    this.#options = options;
    this.#parts = parts;
    this.#signal = signal;
  }

  async run(jobs: readonly Job[]): Promise<number> {
    try {
      const present: Job[] = [];
      const missing: Job[] = [];
      const fetched: Job[] = [];
      const failed: Job[] = [];
      for (const job of jobs)
        await this.#unlessItFails(job, failed, async () => {
          const list = (await this.#isHere(job)) ? present : missing;
          list.push(job);
        });
      if (missing.length > 0 && !(await this.#hasSpaceFor(missing))) return 1;
      for (const job of missing)
        await this.#unlessItFails(job, failed, async () => {
          await this.#fetch(job);
          fetched.push(job);
        });
      const names =
        failed.length > 0 ? `, ${failed.length} failed: ${failed.map(({ label }) => label).join(", ")}` : "";
      const files = jobs.length === 1 ? "1 file" : `${jobs.length} files`;
      this.#say(`${files}: ${fetched.length} fetched, ${present.length} already here${names}`);
      return failed.length === 0 ? 0 : 1;
    } catch (error) {
      if (!(error instanceof InterruptedError)) throw error;
      this.#say("Interrupted. What has arrived is kept; the same command goes on from there.");
      return 1;
    }
  }

  /** One file's failure does not keep the others from coming. */
  async #unlessItFails(job: Job, failed: Job[], act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#signal.throwIfAborted();
      const isExpected = error instanceof DownloadError || (error as NodeJS.ErrnoException).code !== undefined;
      if (!isExpected) throw error;
      if (error instanceof UnreachableError) this.#unreachableHosts.add(error.host);
      this.#say(`${job.label}: failed: ${messageOf(error)}`);
      failed.push(job);
    }
  }

  /** Looks at what is on disk, hashing it only where nothing is on record. */
  async #isHere(job: Job): Promise<boolean> {
    const { file, variant, path } = job;
    if (this.#options.force || (await sizeOf(path)) === null) return false;
    let known = await readVerifiedFile(path);
    if (known === null) {
      if (!(await isGguf(path))) return this.#replace(job, "is no GGUF file");
      known = await this.#recognise(file, path, job.label);
    } else if (this.#options.verify) {
      const sha256 = await this.#hash(path, job.label);
      if (sha256 !== known.sha256)
        return this.#replace(job, `is damaged: SHA-256 expected ${known.sha256}, actual ${sha256}`);
    }
    if (known.quantization === null) {
      this.#say(`${job.label}: ${shown(path)} is none of the manifest's files; kept as it is (--force replaces it)`);
      return true;
    }
    if (job.quantizationIsAsked && known.quantization !== variant.quantization)
      return this.#replace(job, `is ${known.quantization}, not ${variant.quantization}`);
    const current = file.variants.find(({ quantization }) => quantization === known.quantization)?.sha256 ?? null;
    if (current !== null && current !== known.sha256) return this.#replace(job, "is not what the manifest names now");
    this.#say(`${job.label}: ${shown(path)} is here (${known.quantization}, ${verification(known)})`);
    return true;
  }

  #replace(job: Job, why: string): false {
    this.#say(`${job.label}: ${shown(job.path)} ${why}; it will be replaced`);
    return false;
  }

  async #recognise(file: ManifestFile, path: string, label: string): Promise<VerifiedFile> {
    const sha256 = await this.#hash(path, label);
    const quantization = file.variants.find((variant) => variant.sha256 === sha256)?.quantization ?? null;
    const verified: VerifiedFile = { sha256, quantization, verifiedBy: quantization === null ? "nobody" : "manifest" };
    await remember(path, verified);
    return verified;
  }

  async #hash(path: string, label: string): Promise<string> {
    this.#say(`${label}: verifying ${shown(path)}…`);
    return hashFile(path, this.#signal);
  }

  /** Before the first of many gigabytes: whether all of them fit, as far as their sizes are known. */
  async #hasSpaceFor(missing: readonly Job[]): Promise<boolean> {
    let neededBytes = reservedDiskBytes;
    for (const { variant, path } of missing)
      neededBytes += Math.max(0, (variant.sizeBytes ?? 0) - ((await sizeOf(partPath(path))) ?? 0));
    const folder = await nearestFolder(this.#options.folder);
    const freeBytes = await this.#parts.runtime.freeBytes(folder);
    if (freeBytes >= neededBytes) return true;
    this.#say(
      `Not enough space in ${folder}: ${formatBytes(freeBytes)} free, ${formatBytes(neededBytes)} needed for ` +
        `${missing.map(({ label }) => label).join(", ")} (${formatBytes(reservedDiskBytes)} of it to be left free)`,
    );
    return false;
  }

  async #fetch(job: Job): Promise<void> {
    const { expert, variant, label, path } = job;
    const { license } = expert;
    const { runtime } = this.#parts;
    const { baseUrl, token } = this.#options;
    const url = baseUrl === null ? variant.url : mirrored(variant.url, baseUrl);
    const { host } = new URL(url);
    // Every file would wait through all its attempts for the same reason.
    if (this.#unreachableHosts.has(host)) throw new DownloadError(`${url}: not tried, ${host} cannot be reached`);
    this.#say(`${label}: ${expert.model} ${variant.quantization}, ${sizeText(variant)}, to ${shown(path)}`);
    this.#say(
      `${label}: licence ${license.name}, ${license.url}${license.notice === null ? "" : `. ${license.notice}`}`,
    );
    const reporter = new ProgressReporter(this.#parts.progress, runtime.clock, label);
    try {
      const result = await downloadFile(
        {
          url,
          destination: path,
          sizeBytes: variant.sizeBytes,
          sha256: variant.sha256,
          // The token is for the source that the manifest names, not for whoever mirrors it.
          token: baseUrl === null ? token : null,
        },
        {
          signal: this.#signal,
          onProgress: (progress) => reporter.update(progress),
          onRetry: (reason, delayMs) => reporter.note(`${reason}; trying again in ${(delayMs / 1000).toFixed(1)} s`),
        },
        runtime,
      );
      const verified: VerifiedFile = { ...result, quantization: variant.quantization };
      await remember(path, verified);
      reporter.note(`done, ${formatBytes(result.sizeBytes)}, ${verification(verified)}`);
    } catch (error) {
      if (expert.loginRequired && token === null)
        reporter.note("this model needs HF_TOKEN of an account that has accepted its licence");
      throw error;
    } finally {
      reporter.clear();
    }
  }

  #say(line: string): void {
    this.#parts.progress.write(`${line}\n`);
  }
}

function verification({ verifiedBy }: VerifiedFile): string {
  switch (verifiedBy) {
    case "manifest":
      return "SHA-256 as in the manifest";
    case "server":
      return "SHA-256 as the server says";
    case "nobody":
      return "SHA-256 not known beforehand";
  }
}

function sizeText(variant: ManifestVariant): string {
  return variant.sizeBytes === null ? "size unknown" : formatBytes(variant.sizeBytes);
}

/** As a person would name it from where they stand. */
function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith("..") ? path : near;
}

function mirrored(url: string, base: URL): string {
  const { pathname, search } = new URL(url);
  return `${base.origin}${base.pathname.replace(/\/+$/, "")}${pathname}${search}`;
}

/** Without a record the file is hashed again next time, which is all that a read-only folder costs. */
async function remember(path: string, verified: VerifiedFile): Promise<void> {
  await writeVerifiedFile(path, verified).catch(() => undefined);
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch {
    return null;
  }
}

async function isGguf(path: string): Promise<boolean> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(ggufMagic.length), 0, ggufMagic.length, 0);
    return bytesRead === ggufMagic.length && buffer.equals(ggufMagic);
  } finally {
    await handle.close();
  }
}

/** The folder itself, or what it will be made in. */
async function nearestFolder(folder: string): Promise<string> {
  let candidate = folder;
  while ((await sizeOf(candidate)) === null) candidate = resolve(candidate, "..");
  return candidate;
}
