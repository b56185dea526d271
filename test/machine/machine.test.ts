// What the readers of /proc and /sys make of recorded machines, and the budget and threads that follow.
import { availableParallelism, totalmem } from "node:os";
import { describe, expect, it } from "vitest";
import type { MemoryConfig } from "../../src/config/config.ts";
import { readCgroup } from "../../src/machine/cgroup.ts";
import { armCoreName, readCpu } from "../../src/machine/cpu.ts";
import { parseIdList } from "../../src/machine/files.ts";
import {
  memoryLimitBytes,
  processShareBytes,
  ramBudgetBytes,
  readMachine,
  recommendedThreads,
} from "../../src/machine/machine.ts";
import { layOut, type RecordedMachine } from "./recorded.ts";

const machineOf = (name: RecordedMachine, changes: Readonly<Record<string, string | null>> = {}) =>
  readMachine(layOut(name, changes));
const threadsOf = (name: RecordedMachine, changes: Readonly<Record<string, string | null>> = {}) => {
  const { cpu, cgroup } = machineOf(name, changes);
  return recommendedThreads(cpu, cgroup);
};
const gib = 2 ** 30;
const share: MemoryConfig = {
  ramBudgetBytes: null,
  memoryThreshold: 0.8,
  lazy: true,
  maxLoadedExperts: null,
  warmupPoolSize: 0,
  autoUnloadAfterMs: null,
};

describe("the recorded machines", () => {
  it("reads an x86-64 VM with both cgroup versions and no limit", () => {
    const { cpu, cgroup, memory } = machineOf("x86-64-vm");
    expect(cpu).toMatchObject({
      architecture: "x86-64",
      modelName: "AMD EPYC",
      board: null,
      coreKinds: [],
      online: { logical: 2, physical: 2 },
      allowed: { logical: 2, physical: 2 },
      fastPhysicalCores: 2,
    });
    expect(cpu.features).toEqual(expect.arrayContaining(["avx2", "fma", "avx512_vnni"]));
    expect(cgroup).toEqual({ cpuQuota: null, memoryLimit: null, memoryCurrentBytes: 123_748_352 });
    expect(memory).toMatchObject({ totalBytes: 24_684_084 * 1024, swapTotalBytes: 0, swapUsedBytes: 0 });
    expect(memoryLimitBytes({ cgroup, memory })).toBe(24_684_084 * 1024);
    expect(recommendedThreads(cpu, cgroup)).toEqual({ threads: 2, reason: "2 cores" });
  });

  it("reads a cgroup v1 container that sees its group's full path and no /sys/devices", () => {
    const machine = machineOf("cgroup-v1-container");
    expect(machine.cpu.online).toEqual({ logical: 4, physical: 4 });
    expect(machine.cgroup).toEqual({
      cpuQuota: { value: 1.5, file: "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us" },
      memoryLimit: { value: 512 * 2 ** 20, file: "/sys/fs/cgroup/memory/memory.limit_in_bytes" },
      memoryCurrentBytes: 41_943_040,
    });
    expect(recommendedThreads(machine.cpu, machine.cgroup)).toEqual({
      threads: 1,
      reason: "the cgroup's quota of 1.5 CPUs, 4 cores",
    });
    expect(memoryLimitBytes(machine)).toBe(512 * 2 ** 20);
  });

  it("takes the tightest limit of nested cgroup v2 groups, wherever it stands", () => {
    const machine = machineOf("cgroup-v2-nested");
    expect(machine.cgroup).toEqual({
      cpuQuota: { value: 1.5, file: "/sys/fs/cgroup/kubepods.slice/pod1/cpu.max" },
      memoryLimit: { value: 2 * gib, file: "/sys/fs/cgroup/kubepods.slice/pod1/memory.max" },
      memoryCurrentBytes: 734_003_200,
    });
    expect(recommendedThreads(machine.cpu, machine.cgroup).threads).toBe(1);
  });

  it("names a Raspberry Pi 5's cores and board", () => {
    const { cpu, cgroup } = machineOf("raspberry-pi-5");
    expect(cpu).toMatchObject({
      architecture: "arm64",
      modelName: "cortex-a76",
      board: "Raspberry Pi 5 Model B Rev 1.0",
      coreKinds: [{ name: "cortex-a76", count: 4 }],
      fastPhysicalCores: 4,
    });
    expect(cpu.features).toContain("asimddp");
    expect(cpu.features).not.toContain("i8mm");
    expect(recommendedThreads(cpu, cgroup).threads).toBe(4);
  });

  it("names an Axion's cores and takes memory.high for a limit", () => {
    const { cpu, cgroup } = machineOf("axion");
    expect(cpu).toMatchObject({ architecture: "arm64", modelName: "neoverse-v2", online: { logical: 8, physical: 8 } });
    expect(cpu.features).toEqual(expect.arrayContaining(["sve2", "i8mm", "bf16", "asimddp"]));
    expect(cgroup.cpuQuota).toBeNull();
    expect(cgroup.memoryLimit).toEqual({
      value: 24 * gib,
      file: "/sys/fs/cgroup/system.slice/experts.service/memory.high",
    });
  });

  it("counts SMT siblings as one core", () => {
    const { cpu, cgroup } = machineOf("x86-64-smt");
    expect(cpu.online).toEqual({ logical: 8, physical: 4 });
    expect(recommendedThreads(cpu, cgroup)).toEqual({ threads: 4, reason: "4 cores, 8 hardware threads" });
  });

  it("gives threads to the fast cores of big.LITTLE only", () => {
    const { cpu, cgroup } = machineOf("rk3588");
    expect(cpu.coreKinds).toEqual([
      { name: "cortex-a55", count: 4 },
      { name: "cortex-a76", count: 4 },
    ]);
    expect(recommendedThreads(cpu, cgroup)).toEqual({ threads: 4, reason: "4 cores, the fast ones of 8" });
  });
});

describe("readCpu", () => {
  it("counts x86's cores from /proc/cpuinfo where /sys is hidden", () => {
    const hidden = Array.from({ length: 8 }, (_, cpu) => [
      `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`,
      null,
    ]);
    expect(readCpu(layOut("x86-64-smt", Object.fromEntries(hidden))).online).toEqual({ logical: 8, physical: 4 });
  });

  it("uses what the cpuset allows, where two siblings are one core", () => {
    const status = "Name:\tnode\nCpus_allowed_list:\t0,2,4";
    expect(threadsOf("x86-64-smt", { "/proc/self/status": status })).toEqual({
      threads: 2,
      reason: "2 cores, 3 hardware threads, 3 of 8 CPUs allowed",
    });
  });

  it("uses all CPUs where the process's own list is hidden", () => {
    expect(threadsOf("axion", { "/proc/self/status": null }).threads).toBe(8);
  });

  it("keeps to the slow cores where only those are allowed", () => {
    const status = "Cpus_allowed_list:\t0-3";
    expect(threadsOf("rk3588", { "/proc/self/status": status }).threads).toBe(4);
  });

  it("falls back on Node's count without /proc", () => {
    const { cpu, cgroup, memory } = readMachine("/nonexistent");
    expect(cpu).toMatchObject({ modelName: null, features: [], fastPhysicalCores: availableParallelism() });
    expect(cgroup).toEqual({ cpuQuota: null, memoryLimit: null, memoryCurrentBytes: null });
    expect(memory).toEqual({
      totalBytes: totalmem(),
      availableBytes: null,
      swapTotalBytes: 0,
      swapUsedBytes: 0,
    });
  });

  it("names the cores of the users' machines, and says the codes of others", () => {
    const names = ["0xd08", "0xd0b", "0xd0c", "0xd40", "0xd49", "0xd4f"].map((part) => armCoreName("0x41", part));
    expect(names).toEqual(["cortex-a72", "cortex-a76", "neoverse-n1", "neoverse-v1", "neoverse-n2", "neoverse-v2"]);
    expect(armCoreName("0xC0", "0xAC3")).toBe("ampere1");
    expect(armCoreName("0x41", "0xfff")).toBe("implementer 0x41 part 0xfff");
  });
});

describe("readCgroup", () => {
  const mountinfo = (group: string, mountPoint: string) =>
    `30 24 0:27 ${group} ${mountPoint} rw,relatime shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate`;
  const own = { "/sys/fs/cgroup/cpu.max": "50000 100000", "/sys/fs/cgroup/memory.max": "1073741824" };

  it("finds the limits of a namespaced container at the mount point", () => {
    const root = layOut("axion", { ...own, "/proc/self/cgroup": "0::/" });
    expect(readCgroup(root)).toMatchObject({ cpuQuota: { value: 0.5 }, memoryLimit: { value: gib } });
  });

  it("looks at the mount point where the process's group lies outside of what is mounted", () => {
    for (const path of ["/../other", "/elsewhere/service"]) {
      const changes = {
        ...own,
        "/proc/self/cgroup": `0::${path}`,
        "/proc/self/mountinfo": mountinfo("/a", "/sys/fs/cgroup"),
      };
      expect(readCgroup(layOut("axion", changes))).toMatchObject({ cpuQuota: { value: 0.5 } });
    }
  });

  it("does not take a group for inside another that only shares the start of its name", () => {
    const changes = {
      "/proc/self/cgroup": "0::/docker/abcd",
      "/proc/self/mountinfo": mountinfo("/docker/ab", "/sys/fs/cgroup"),
      "/sys/fs/cgroup/cd/cpu.max": "50000 100000",
    };
    expect(readCgroup(layOut("axion", changes)).cpuQuota).toBeNull();
  });

  it("also counts version 1's limits that a container cannot see", () => {
    const file = "/sys/fs/cgroup/memory/memory.stat";
    const root = layOut("cgroup-v1-container", { [file]: "cache 0\nhierarchical_memory_limit 268435456" });
    expect(readCgroup(root).memoryLimit).toEqual({ value: 2 ** 28, file });
  });

  it("ignores a quota or limit that is garbage", () => {
    const changes = {
      ...own,
      "/proc/self/cgroup": "0::/",
      "/sys/fs/cgroup/cpu.max": "",
      "/sys/fs/cgroup/memory.max": "?",
    };
    expect(readCgroup(layOut("axion", changes))).toMatchObject({ cpuQuota: null, memoryLimit: null });
  });
});

describe("the decisions", () => {
  const quota = (value: number) => ({ "/proc/self/cgroup": "0::/", "/sys/fs/cgroup/cpu.max": `${value * 1e5} 100000` });

  it("never recommends less than one thread, nor more than the quota pays for, nor more than the cores", () => {
    expect(threadsOf("axion", quota(0.25))).toMatchObject({ threads: 1 });
    expect(threadsOf("axion", quota(3.9))).toEqual({ threads: 3, reason: "the cgroup's quota of 3.9 CPUs, 8 cores" });
    expect(threadsOf("axion", quota(64))).toEqual({ threads: 8, reason: "8 cores" });
  });

  it("takes a share of the smaller of RAM and the cgroup's limit", () => {
    const axion = machineOf("axion");
    expect(ramBudgetBytes(share, axion)).toEqual({
      bytes: Math.floor(24 * gib * 0.8),
      reason: "lazy_loading.memory_threshold 0.8 of 24.0 GiB, the cgroup's memory limit",
    });
    const pi = machineOf("raspberry-pi-5");
    expect(ramBudgetBytes(share, pi)).toEqual({
      bytes: Math.floor(pi.memory.totalBytes * 0.8),
      reason: "lazy_loading.memory_threshold 0.8 of 7.9 GiB, RAM",
    });
  });

  it("takes ram_budget as it stands, and RAM where the cgroup allows more than there is", () => {
    const pi = machineOf("raspberry-pi-5", { "/proc/self/cgroup": "0::/", "/sys/fs/cgroup/memory.max": `${64 * gib}` });
    expect(memoryLimitBytes(pi)).toBe(pi.memory.totalBytes);
    expect(ramBudgetBytes({ ...share, ramBudgetBytes: 20 * gib }, pi)).toEqual({
      bytes: 20 * gib,
      reason: "lazy_loading.ram_budget",
    });
  });
});

describe("parseIdList", () => {
  it("reads ranges and single ids, and nothing from an empty or malformed list", () => {
    expect(parseIdList("0-2,5,7-8\n")).toEqual([0, 1, 2, 5, 7, 8]);
    expect(parseIdList("")).toEqual([]);
    expect(parseIdList("all")).toEqual([]);
  });
});

describe("the process's own share of the budget", () => {
  it.each([
    { budgetBytes: 1000, ownBytes: 100, share: 100 },
    { budgetBytes: 800, ownBytes: 100, share: 100 },
    { budgetBytes: 799, ownBytes: 100, share: 0 },
  ])("is $share of $budgetBytes for a process of $ownBytes", ({ budgetBytes, ownBytes, share }) => {
    expect(processShareBytes(budgetBytes, ownBytes)).toBe(share);
  });
});
