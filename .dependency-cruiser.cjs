// The layering of ARCHITECTURE.md, held by `npm run check:layers`: imports go one way, no cycles, one importer for
// each library that must stay behind a seam. What it cannot see, `createRequire`, the linter forbids.

/** Layers from the top down: a folder may import only from folders that stand after it here, and from itself. */
const layers = [
  "main",
  "commands",
  "supervisor",
  "app",
  "http",
  "api",
  "chat",
  "formats",
  "pool",
  "routing",
  "rag",
  "engine",
  "telemetry",
  "machine",
  "config",
  "experts",
  "grammar",
  "core",
];
// `chat` uses routing and pool; pool, routing and rag do not know one another.
const siblings = [
  ["formats", "pool", "routing", "rag", "telemetry"],
  ["engine", "telemetry", "machine"],
];
const folder = (name) => (name === "main" || name === "app" ? `^src/${name}\\.ts$` : `^src/${name}/`);

const upward = layers.flatMap((name, index) =>
  index === 0
    ? []
    : [
        {
          name: `no-upward-from-${name}`,
          severity: "error",
          from: { path: folder(name) },
          to: { path: layers.slice(0, index).map(folder) },
        },
      ],
);
const sideways = siblings.flatMap((group) =>
  group.map((name) => ({
    name: `no-sideways-from-${name}`,
    severity: "error",
    from: { path: folder(name) },
    to: { path: group.filter((other) => other !== name).map(folder) },
  })),
);

module.exports = {
  forbidden: [
    {
      name: "no-file-outside-the-layers",
      comment: "A new folder below src/ needs its place in `layers` above, or nothing would hold it.",
      severity: "error",
      from: { path: "^src/", pathNot: layers.map(folder) },
      to: {},
    },
    {
      name: "no-import-from-outside-the-layers",
      comment: "The same for a file that imports nothing.",
      severity: "error",
      from: {},
      to: { path: "^src/", pathNot: layers.map(folder) },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "no-orphans",
      severity: "error",
      from: { orphan: true, pathNot: ["\\.d\\.ts$", "^src/main\\.ts$"] },
      to: {},
    },
    {
      name: "node-llama-cpp-in-one-folder",
      comment: "Only src/engine/llama may import the engine's library.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/engine/llama/" },
      to: { path: "node-llama-cpp" },
    },
    {
      name: "p-queue-in-one-file",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/pool/queue\\.ts$" },
      to: { path: "node_modules/p-queue" },
    },
    {
      name: "engine-llama-behind-the-interface",
      comment: "Only the composition root names the concrete engine.",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/app\\.ts$", "^src/engine/llama/"] },
      to: { path: "^src/engine/llama/" },
    },
    {
      name: "pool-behind-the-interface",
      comment: "Only the composition root names the concrete pool.",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/app\\.ts$", "^src/pool/"] },
      to: { path: "^src/pool/", pathNot: "^src/pool/pool\\.ts$" },
    },
    {
      name: "pool-interface-as-types",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/app\\.ts$", "^src/pool/"] },
      to: { path: "^src/pool/pool\\.ts$", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "telemetry-behind-its-ports",
      comment: "What others hand to telemetry or show of it are core's types.",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/app\\.ts$", "^src/commands/", "^src/telemetry/"] },
      to: { path: "^src/telemetry/" },
    },
    {
      name: "commands-take-the-logger-alone",
      severity: "error",
      from: { path: "^src/commands/" },
      to: { path: "^src/telemetry/", pathNot: "^src/telemetry/log\\.ts$" },
    },
    {
      name: "api-knows-no-http-server",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/http/" },
      to: { path: "node_modules/(hono|@hono)" },
    },
    {
      name: "supervisor-stays-small",
      comment:
        "It lives beside the models: core/ and Node are all that it may load. It starts the server as a process.",
      severity: "error",
      from: { path: "^src/supervisor/" },
      to: { pathNot: ["^src/supervisor/", "^src/core/"], dependencyTypesNot: ["core"] },
    },
    {
      name: "main-loads-nothing-before-the-command",
      comment: "What main.ts and serve.ts import at once is in the supervisor's memory too.",
      severity: "error",
      from: { path: ["^src/main\\.ts$", "^src/commands/serve\\.ts$"] },
      to: { path: "^src/", pathNot: "^src/core/", dependencyTypesNot: ["dynamic-import", "type-only"] },
    },
    { name: "src-imports-no-dev", severity: "error", from: { path: "^src/" }, to: { path: "^(test|tools|bench)/" } },
    {
      name: "only-declared-dependencies",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown", "npm-dev"] },
    },
    ...upward,
    ...sideways,
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
