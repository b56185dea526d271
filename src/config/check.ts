// Everything that is wrong or without effect in a configuration file's value, found in one go. Pure. May import
// schema.ts, experts/ and core/.
import { clip } from "../core/errors.ts";
import { nameKey } from "../experts/catalogue.ts";
import {
  allowedModelPath,
  configFileSchema,
  configJsonSchema,
  describeAllowed,
  type ConfigFile,
  type JsonSchemaNode,
} from "./schema.ts";

export interface CheckedConfig {
  /** Null where there are problems. */
  readonly file: ConfigFile | null;
  /** One line each: `path: what arrived — allowed: what is allowed`. */
  readonly problems: readonly string[];
  /** One line each: unknown keys, and known ones without effect. */
  readonly warnings: readonly string[];
  /** The paths of model files and folders that the file names, also where something else in it is wrong. */
  readonly modelPaths: readonly { readonly key: string; readonly path: string }[];
}

type Path = readonly PropertyKey[];

interface RawExpert {
  readonly index: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function checkConfig(raw: unknown): CheckedConfig {
  const value = tidy(raw, configJsonSchema);
  const parsed = configFileSchema.safeParse(value);
  const schemaProblems = (parsed.error?.issues ?? []).map(({ path }) => problemAt(value, path));
  const experts = rawExperts(value);
  const problems = [
    ...new Set([
      ...schemaProblems,
      ...pathProblems(experts),
      ...contextProblems(experts),
      ...nameProblems(experts, value),
    ]),
  ];
  const modelPaths = [
    ...experts.map(({ index, fields }) => ({ key: `experts[${index}].model_path`, path: fields["model_path"] })),
    ...readingModels.map((key) => ({ key: `${key}.model_path`, path: memberOf(memberOf(value, key), "model_path") })),
  ].flatMap(({ key, path }) => (isText(path) && path !== "" ? [{ key, path }] : []));
  return {
    file: problems.length === 0 ? (parsed.data ?? null) : null,
    problems,
    warnings: [...keyWarnings(value, configJsonSchema, []), ...idleKeyWarnings(memberOf(value, "lazy_loading"))],
    modelPaths,
  };
}

/** `key: what arrived — allowed: …`, for a value of the file. */
export function problemLine(key: string, value: unknown, allowed: string): string {
  return `${key}: ${describeValue(value)} — allowed: ${allowed}`;
}

/** Models that read whole texts, by key: each has a name and a file. */
const readingModels = ["embedding_model", "rerank_model"] as const;

/** The name under which such a model is known. */
export function readingModelId(modelName: string | undefined, modelPath: string): string {
  return modelName ?? (/([^/]*?)(\.gguf)?\/*$/i.exec(modelPath)?.[1] || modelPath);
}

/** Drops nulls (they count as absent) and lower-cases the words of enumerations, down to where the schema reaches. */
function tidy(value: unknown, node: JsonSchemaNode): unknown {
  if (Array.isArray(value) && node.items !== undefined) {
    const { items } = node;
    return value.map((item) => tidy(item, items));
  }
  if (isObject(value) && node.properties !== undefined) {
    const { properties } = node;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, member]) => member !== null)
        .map(([key, member]) => [key, tidy(member, ownMember(properties, key) ?? {})]),
    );
  }
  return node.enum !== undefined && typeof value === "string" ? value.toLowerCase() : value;
}

function problemAt(root: unknown, path: Path): string {
  let node: JsonSchemaNode | undefined = configJsonSchema;
  let value: unknown = root;
  for (const key of path) {
    node = typeof key === "number" ? node?.items : node?.properties?.[String(key)];
    value = memberOf(value, key);
  }
  const shown = node?.writeOnly === true && value !== undefined ? "a value that is not shown" : describeValue(value);
  return `${formatPath(path)}: ${shown} — allowed: ${describeAllowed(node ?? {})}`;
}

/** `remote` may stand in place of `model_path`, which the schema of one key cannot say. */
function pathProblems(experts: readonly RawExpert[]): string[] {
  return experts
    .filter(({ fields }) => fields["model_path"] === undefined && fields["remote"] === undefined)
    .map(({ index }) => problemLine(`experts[${index}].model_path`, undefined, allowedModelPath));
}

/** The schema of one key cannot say that it may not be larger than another. */
function contextProblems(experts: readonly RawExpert[]): string[] {
  return experts.flatMap(({ index, fields: { min_model_len: least, max_model_len: most } }) =>
    typeof least === "number" && typeof most === "number" && least > most
      ? [problemLine(`experts[${index}].min_model_len`, least, `at most its max_model_len, which is ${most}`)]
      : [],
  );
}

function nameProblems(experts: readonly RawExpert[], root: unknown): string[] {
  const problems: string[] = [];
  const owners = new Map<string, { readonly key: string; readonly index: number }>();
  const claim = (name: unknown, key: string, index: number) => {
    if (!isText(name) || name === "") return;
    const owner = owners.get(nameKey(name));
    if (nameKey(name) === "auto") problems.push(problemLine(key, name, 'another name ("auto" asks the router)'));
    else if (owner !== undefined)
      problems.push(problemLine(key, name, `a name of its own (${owner.key} has this one)`));
    else owners.set(nameKey(name), { key, index });
  };
  for (const { index, fields } of experts) claim(fields["expert_id"], `experts[${index}].expert_id`, index);
  for (const { index, fields } of experts) {
    for (const [at, alias] of listOf(fields["aliases"])) claim(alias, `experts[${index}].aliases[${at}]`, index);
  }
  for (const { index, fields } of experts) {
    for (const [at, name] of listOf(fields["fallback"])) {
      const owner = isText(name) ? owners.get(nameKey(name)) : undefined;
      if (!isText(name) || (owner !== undefined && owner.index !== index)) continue;
      const others = experts.filter((other) => other.index !== index).map((other) => other.fields["expert_id"]);
      const allowed =
        others.length === 0 ? "nothing (there is no other expert)" : `one of ${others.filter(isText).join(", ")}`;
      problems.push(problemLine(`experts[${index}].fallback[${at}]`, name, allowed));
    }
  }
  for (const key of readingModels) {
    const fields = memberOf(root, key);
    const [name, path] = [memberOf(fields, "model_name"), memberOf(fields, "model_path")];
    if (isText(path)) claim(readingModelId(isText(name) ? name : undefined, path), `${key}.model_name`, -1);
  }
  return problems;
}

function keyWarnings(value: unknown, node: JsonSchemaNode, path: Path): string[] {
  if (node["x-notice"] !== undefined) return [`${formatPath(path)}: ${node["x-notice"]}`];
  if (Array.isArray(value) && node.items !== undefined) {
    const { items } = node;
    return value.flatMap((item, index) => keyWarnings(item, items, [...path, index]));
  }
  if (!isObject(value) || node.properties === undefined) return [];
  const { properties } = node;
  return Object.entries(value).flatMap(([key, member]) => {
    const known = ownMember(properties, key);
    if (known !== undefined) return keyWarnings(member, known, [...path, key]);
    const near = nearestKey(key, Object.keys(properties));
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    return [`${formatPath([...path, key])}: unknown key, ignored${hint}`];
  });
}

/** Keys of `lazy_loading` that another one there overrules. */
function idleKeyWarnings(lazyLoading: unknown): string[] {
  const has = (key: string) => memberOf(lazyLoading, key) !== undefined;
  const unlessLazy = ["warmup_pool_size", "auto_unload_after_s"].filter(
    // Zero asks for nothing.
    (key) => has(key) && memberOf(lazyLoading, key) !== 0 && memberOf(lazyLoading, "enabled") === false,
  );
  return [
    ...(has("memory_threshold") && has("ram_budget")
      ? ["lazy_loading.memory_threshold: has no effect, because lazy_loading.ram_budget is given too"]
      : []),
    ...unlessLazy.map((key) => `lazy_loading.${key}: has no effect, because lazy_loading.enabled is false`),
  ];
}

/** The known key that two changed characters at most turn into `key`. */
function nearestKey(key: string, known: readonly string[]): string | undefined {
  if (key.length > 40) return undefined;
  return known.find((candidate) => candidate.length > 4 && editDistance(key.toLowerCase(), candidate) <= 2);
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [line, character] of Array.from(a).entries()) {
    const next = [line + 1];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (row[column - 1] ?? 0) + (character === b[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function formatPath(path: Path): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else if (/^[\w$-]+$/.test(String(key))) text += text === "" ? clip(String(key)) : `.${clip(String(key))}`;
    else text += `[${JSON.stringify(clip(String(key)))}]`;
  }
  return text === "" ? "the whole file" : text;
}

function describeValue(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "string") return JSON.stringify(clip(value));
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  return value === null || typeof value === "number" || typeof value === "boolean" ? String(value) : "an object";
}

/** The entries that are objects, with their place in the file. */
function rawExperts(value: unknown): RawExpert[] {
  return listOf(memberOf(value, "experts")).flatMap(([index, fields]) => (isObject(fields) ? [{ index, fields }] : []));
}

function listOf(value: unknown): [number, unknown][] {
  return Array.isArray(value) ? [...value.entries()] : [];
}

function memberOf(value: unknown, key: PropertyKey): unknown {
  return typeof value === "object" && value !== null
    ? ownMember(value as Record<PropertyKey, unknown>, key)
    : undefined;
}

function ownMember<T>(object: Readonly<Record<PropertyKey, T>>, key: PropertyKey): T | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
