// The values of `format` for strings and numbers: what each allows, as patterns. Imports nothing. Where the standard allows
// more than anybody writes (a leap second, a hostname with an underscore), the pattern allows less: what it lets through is
// always valid.

const hours = "([01]\\d|2[0-3])";
const time = `${hours}:[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]${hours}:[0-5]\\d)`;
const leapYear = "(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)";
const date =
  "(\\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))" +
  `|${leapYear}-02-29)`;
const label = "[A-Za-z0-9]([A-Za-z0-9-]{0,60}[A-Za-z0-9])?";
const hostname = `${label}(\\.${label}){0,3}`;
const byte = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const hex = "[0-9a-fA-F]";
const group = `${hex}{1,4}`;
const ipv6 = [
  `(${group}:){7}${group}`,
  ...[1, 2, 3, 4, 5, 6].map((before) => `(${group}:){${before}}(:${group}){1,${7 - before}}`),
  `(${group}:){1,7}:`,
  `:((:${group}){1,7}|:)`,
].join("|");
// Without a count of characters: it takes far fewer states.
const domain = "[A-Za-z0-9]+(-+[A-Za-z0-9]+)*(\\.[A-Za-z0-9]+(-+[A-Za-z0-9]+)*)*";
const mailbox = "[A-Za-z0-9][A-Za-z0-9_+-]*(\\.[A-Za-z0-9_+-]+)*";
const path = "[A-Za-z0-9._~!$&'()*+,;=:@-]";
const uri = `[a-z][a-z0-9+.-]{0,15}://${domain}(:\\d{1,5})?(/${path}*)*(\\?(${path}|/)*)?(#${path}*)?`;

const stringPatterns: Readonly<Record<string, string>> = {
  date,
  time,
  "date-time": `${date}T${time}`,
  duration: "P(\\d{1,9}W|(\\d{1,9}Y(\\d{1,9}M(\\d{1,9}D)?)?|\\d{1,9}M(\\d{1,9}D)?|\\d{1,9}D)(T_)?|T_)".replaceAll(
    "T_",
    "T(\\d{1,9}H(\\d{1,9}M(\\d{1,9}S)?)?|\\d{1,9}M(\\d{1,9}S)?|\\d{1,9}S)",
  ),
  email: `${mailbox}@${domain}\\.[A-Za-z]{2,24}`,
  hostname,
  ipv4: `(${byte}\\.){3}${byte}`,
  ipv6,
  uuid: `${hex}{8}-(${hex}{4}-){3}${hex}{12}`,
  uri,
  "json-pointer": "(/([^~/]|~[01])*)*",
  byte: "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
};

/** Formats that mean something to validators, and to which no pattern holds. */
const refused = new Set([
  "uri-reference",
  "uri-template",
  "url",
  "iri",
  "iri-reference",
  "idn-email",
  "idn-hostname",
  "regex",
  "json-pointer-uri-fragment",
  "relative-json-pointer",
  "iso-time",
  "iso-date-time",
]);

export const supportedFormats: readonly string[] = [...Object.keys(stringPatterns), "int32"];

/** The anchored pattern of a format for strings; null where it restricts nothing, undefined where it is refused. */
export function formatPattern(format: string): string | null | undefined {
  if (Object.hasOwn(stringPatterns, format)) return `^(${stringPatterns[format]})$`;
  if (refused.has(format)) return undefined;
  // By the standard, a format that nobody knows is an annotation.
  return null;
}

/** The bounds that a format for numbers sets. */
export function formatRange(format: string): { minimum: number; maximum: number; isInteger: boolean } | null {
  return format === "int32" ? { minimum: -(2 ** 31), maximum: 2 ** 31 - 1, isInteger: true } : null;
}
