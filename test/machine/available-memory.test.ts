// What can still be taken of recorded machines and control groups, and of a real group made for the test.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { statfsSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { type AvailableMemory, availableMemory, memoryReserveBytes } from "../../src/machine/available-memory.ts";
import { memoryGroup, whyNoMemoryGroup } from "../support/memory-group.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { layOut, type RecordedMachine } from "./recorded.ts";

type Changes = Readonly<Record<string, string | null>>;
const mib = 2 ** 20;
const gib = 2 ** 30;
const availableOf = (name: RecordedMachine, changes: Changes = {}) => availableMemory(layOut(name, changes));
const pressure = (some: number, full = 0) =>
  `some avg10=${some.toFixed(2)} avg60=0.00 avg300=0.00 total=1\nfull avg10=${full.toFixed(2)} avg60=0.00 avg300=0.00 total=1`;

describe("availableMemory on recorded machines", () => {
  it("is MemAvailable where no group has a limit", () => {
    expect(availableOf("x86-64-vm")).toEqual({
      availableBytes: 24_245_276 * 1024,
      limitedBy: "/proc/meminfo",
      pressured: false,
      reason: "23.1 GiB of 23.5 GiB available (/proc/meminfo)",
    });
  });

  it("takes the file pages that this process has mapped from MemAvailable, each page once", () => {
    const own = { "/proc/self/status": "Name:\tnode\nRssAnon:\t1000 kB\nRssFile:\t4000000 kB" };
    const mapped = (kib: number) => ({
      "/proc/meminfo": `MemTotal: 24684084 kB\nMemAvailable: 9000000 kB\nMapped: ${kib} kB`,
    });
    expect(availableOf("x86-64-vm", { ...own, ...mapped(5_000_000) }).availableBytes).toBe(5_000_000 * 1024);
    // Mapped twice by the process: the machine knows how many pages there are.
    expect(availableOf("x86-64-vm", { ...own, ...mapped(2_500_000) }).availableBytes).toBe(6_500_000 * 1024);
  });

  it("counts a version 1 group's page cache of both lists with its subgroups', without what is mapped", () => {
    expect(availableOf("cgroup-v1-container")).toEqual({
      // Limit − usage + inactive + active − mapped.
      availableBytes: (512 - 40 + 4 + 8 - 6) * mib,
      limitedBy: "/sys/fs/cgroup/memory/memory.limit_in_bytes",
      pressured: false,
      reason: "478.0 MiB of 512.0 MiB available (/sys/fs/cgroup/memory/memory.limit_in_bytes)",
    });
  });

  it("counts a version 1 limit that the container cannot see", () => {
    const file = "/sys/fs/cgroup/memory/memory.stat";
    const statistics = `total_inactive_file 0\ntotal_active_file 0\nhierarchical_memory_limit ${128 * mib}`;
    expect(availableOf("cgroup-v1-container", { [file]: statistics })).toMatchObject({
      availableBytes: (128 - 40) * mib,
      limitedBy: file,
    });
  });

  it("finds the tightest of nested version 2 groups by what is left, not by the limit", () => {
    expect(availableOf("cgroup-v2-nested")).toMatchObject({
      // 48 MiB of the pod's mapped pages are this process's.
      availableBytes: (2048 - 1536 + 512 - 48) * mib,
      limitedBy: "/sys/fs/cgroup/kubepods.slice/pod1/memory.max",
    });
    const neighbours = { "/sys/fs/cgroup/kubepods.slice/memory.current": `${19.5 * gib}` };
    expect(availableOf("cgroup-v2-nested", neighbours)).toMatchObject({
      availableBytes: (16 - 19.5 + 4) * gib - 48 * mib,
      limitedBy: "/sys/fs/cgroup/kubepods.slice/memory.max",
    });
    const own = { "/sys/fs/cgroup/kubepods.slice/pod1/web/memory.high": `${720 * mib}` };
    expect(availableOf("cgroup-v2-nested", own)).toMatchObject({
      availableBytes: (720 - 700 + 300 - 48) * mib,
      limitedBy: "/sys/fs/cgroup/kubepods.slice/pod1/web/memory.high",
    });
  });

  it("takes memory.high before memory.max, and MemAvailable where that is less", () => {
    const file = "/sys/fs/cgroup/system.slice/experts.service/memory.high";
    expect(availableOf("axion")).toMatchObject({
      // Mapped pages that stand on no list are not taken away twice: 44 MiB of cache, 48 MiB mapped.
      availableBytes: 24 * gib - 84 * mib,
      limitedBy: file,
    });
    const busy = { "/proc/meminfo": "MemTotal: 32838444 kB\nMemAvailable: 8388608 kB" };
    expect(availableOf("axion", busy)).toMatchObject({
      availableBytes: 8 * gib - 48 * mib,
      limitedBy: "/proc/meminfo",
    });
  });

  it("is zero, not less, where a group is beyond its limit", () => {
    const over = { "/sys/fs/cgroup/memory/memory.usage_in_bytes": `${600 * mib}` };
    expect(availableOf("cgroup-v1-container", over).availableBytes).toBe(0);
  });

  it("leaves out a limit whose use is not told, and knows nothing without /proc", () => {
    const untold = { "/sys/fs/cgroup/memory/memory.usage_in_bytes": null };
    expect(availableOf("cgroup-v1-container", untold).limitedBy).toBe("/proc/meminfo");
    const garbage = { "/sys/fs/cgroup/memory/memory.usage_in_bytes": "?", "/proc/meminfo": "MemAvailable: much" };
    expect(availableOf("cgroup-v1-container", garbage).availableBytes).toBeNull();
    expect(availableMemory("/nonexistent")).toEqual({
      availableBytes: null,
      limitedBy: "/proc/meminfo",
      pressured: false,
      reason: "neither a control group nor /proc/meminfo tells",
    });
  });
});

describe("pressure", () => {
  const group = "/sys/fs/cgroup/kubepods.slice/pod1/web/memory.pressure";
  const machine = "/proc/pressure/memory";
  /** The pod of 2 GiB with this much left, where a reserve is 64 MiB. */
  const left = (bytes: number): Changes => ({
    "/sys/fs/cgroup/kubepods.slice/pod1/memory.current": `${2048 * mib + (512 - 48) * mib - bytes}`,
  });

  it.each([
    ["the group's tasks stall and little is left", { ...left(255 * mib), [group]: pressure(10) }, true],
    ["the machine's tasks stall and little is left", { ...left(255 * mib), [machine]: pressure(10) }, true],
    ["enough is left: unloading would not help", { ...left(256 * mib), [group]: pressure(90, 80) }, false],
    ["they hardly stall", { ...left(100 * mib), [group]: pressure(9.99), [machine]: pressure(9.99) }, false],
    ["the kernel does not tell", { ...left(100 * mib), [group]: null, [machine]: null }, false],
    ["the kernel tells garbage", { ...left(100 * mib), [group]: "some avg10=much", [machine]: "" }, false],
  ])("%s", (_, changes, pressured) => {
    const available = availableOf("cgroup-v2-nested", changes);
    expect(available.pressured).toBe(pressured);
  });

  it("says in the reason how long tasks stood still", () => {
    const { reason } = availableOf("cgroup-v2-nested", { ...left(100 * mib), [group]: pressure(23.5) });
    expect(reason).toBe(
      "100.0 MiB of 2.0 GiB available (/sys/fs/cgroup/kubepods.slice/pod1/memory.max), " +
        "tasks waited for memory 23.5 % of the last 10 s",
    );
  });

  it("is the version 2 group's own beside version 1's memory limits", () => {
    const mountinfo =
      "413 411 0:33 /docker/4f1a /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n" +
      "414 411 0:34 / /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw";
    const changes = {
      "/proc/self/mountinfo": mountinfo,
      "/sys/fs/cgroup/memory/memory.usage_in_bytes": `${480 * mib}`,
      "/sys/fs/cgroup/unified/system.slice/containerd.service/memory.pressure": pressure(40),
    };
    expect(availableOf("cgroup-v1-container", changes)).toMatchObject({
      availableBytes: 38 * mib,
      pressured: true,
    });
  });
});

describe("memoryReserveBytes", () => {
  it("is 64 MiB, 2 % of large limits, an eighth of small ones", () => {
    expect(memoryReserveBytes(256 * mib)).toBe(32 * mib);
    expect(memoryReserveBytes(512 * mib)).toBe(64 * mib);
    expect(memoryReserveBytes(2 * gib)).toBe(64 * mib);
    expect(memoryReserveBytes(24 * gib)).toBe(Math.floor((24 * gib) / 50));
  });
});

describe("a real control group", () => {
  const tmpfsMagic = 0x01021994;
  const child = fileURLToPath(new URL("take-memory.ts", import.meta.url));

  it("counts what is used, but neither page cache nor another group's use", async ({ skip }) => {
    const folder = testFolder();
    skip(whyNoMemoryGroup() !== null, whyNoMemoryGroup() ?? "");
    skip(statfsSync(folder).type === tmpfsMagic, "the temporary folder is in memory itself");
    const limitBytes = 512 * mib;
    const group = memoryGroup(limitBytes);
    const [program, ...args] = group.launcher;
    const taker = spawn(program, [...args, process.execPath, "--import", "tsx", child], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    onTestFinished(async () => {
      taker.stdin.end();
      if (taker.exitCode === null) await once(taker, "close");
    });
    const answers = createInterface({ input: taker.stdout })[Symbol.asyncIterator]();
    const tell = async (order: string): Promise<AvailableMemory> => {
      taker.stdin.write(`${order}\n`);
      const { value } = (await answers.next()) as { value: string };
      return JSON.parse(value) as AvailableMemory;
    };
    // The kernel brings a group's statistics up to date every two seconds: until then they lag behind its usage.
    const settled = async (from: number, to: number) => {
      await expect
        .poll(async () => (await tell("look")).availableBytes, { timeout: 10_000, interval: 200 })
        .toSatisfy((bytes: number) => bytes >= from && bytes <= to);
    };

    const start = await tell("look");
    expect(start.limitedBy).toContain(group.name);
    const before = start.availableBytes ?? 0;
    expect(before).toBeGreaterThan(limitBytes - 200 * mib);
    expect(before).toBeLessThan(limitBytes);
    const slack = 16 * mib;
    await tell("take 100");
    await settled(before - 100 * mib - slack, before - 100 * mib + slack);
    await tell(`write 128 ${path.join(folder, "file")}`);
    await settled(before - 100 * mib - slack, before - 100 * mib + slack);
  });
});
