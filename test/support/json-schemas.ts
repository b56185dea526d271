// JSON Schemas to try formats with. May import fast-check.
import * as fc from "fast-check";

const name = fc.oneof(
  fc.constantFrom(
    "a",
    "ab",
    "abc",
    "id",
    "name",
    "kind",
    "é",
    "x y",
    'q"q',
    "back\\slash",
    "constructor",
    "__proto_",
    "😀",
  ),
  fc.string({ minLength: 0, maxLength: 4 }),
);
const scalar = fc.oneof(
  fc.string({ maxLength: 5 }),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
);
const annotation = fc.record(
  { title: fc.string({ maxLength: 3 }), description: fc.string({ maxLength: 3 }), deprecated: fc.boolean() },
  { requiredKeys: [] },
);

const text = fc.oneof(
  fc.tuple(fc.nat(6), fc.nat(6)).map(([min, more]) => ({ type: "string", minLength: min, maxLength: min + more })),
  fc
    .constantFrom("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")
    .map((format) => ({
      type: "string",
      format,
    })),
  fc
    .constantFrom(
      "^[A-Z]{3}-[0-9]{1,4}$",
      "^(red|green|blue)$",
      "foo",
      "^\\d+(\\.\\d{2})?$",
      "[aeiou]{2}$",
      "^\\w+\\s\\w+$",
      "^.{2,8}$",
      '^[^"\\\\]*$',
      "^$|^x+$",
      "(a|b)*c",
    )
    .map((pattern) => ({ type: "string", pattern })),
  fc.constantFrom("^[a-z]+$", "^[0-9]*$", "x").chain((pattern) =>
    fc.tuple(fc.nat(4), fc.nat(4)).map(([min, more]) => ({
      type: "string",
      pattern,
      minLength: min,
      maxLength: Math.max(1, min + more),
    })),
  ),
  fc.constant({ type: "string" }),
);
const bounds = fc.tuple(fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.double({ min: 0, max: 1e4, noNaN: true }));
const number = fc.oneof(
  fc.constant({ type: "number" }),
  fc.constant({ type: "integer" }),
  bounds.map(([low, more]) => ({ type: "number", minimum: low, maximum: low + more + 0.01 })),
  bounds.map(([low, more]) => ({ type: "number", exclusiveMinimum: low, exclusiveMaximum: low + more + 0.01 })),
  bounds.map(([low, more]) => ({ type: "integer", minimum: Math.round(low), maximum: Math.round(low + more) })),
  fc.integer({ min: -500, max: 500 }).map((bound) => ({ type: "integer", exclusiveMinimum: bound })),
  fc.integer({ min: -500, max: 500 }).map((bound) => ({ type: "number", maximum: bound / 8 })),
  fc.integer({ min: 1, max: 60 }).map((multipleOf) => ({ type: "integer", multipleOf })),
  fc.constant({ type: "integer", format: "int32" }),
);
const leaf = fc.oneof(
  text,
  number,
  fc.constantFrom<object>(
    { type: "boolean" },
    { type: "null" },
    { type: ["string", "null"] },
    { type: ["integer", "string", "boolean"] },
  ),
  fc
    .uniqueArray(scalar, { minLength: 1, maxLength: 6, selector: (value) => JSON.stringify(value) })
    .map((values) => ({ enum: values })),
  scalar.map((value) => ({ const: value })),
);

const { schema } = fc.letrec<{ schema: object }>((tie) => ({
  schema: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.tuple(leaf, annotation).map(([one, more]) => ({ ...one, ...more })),
    objectOf(tie("schema")),
    objectOf(tie("schema")),
    fc.record({ items: tie("schema"), min: fc.nat(2), more: fc.nat(3) }).map(({ items, min, more }) => ({
      type: "array",
      items,
      minItems: min,
      maxItems: min + more,
    })),
    tie("schema").map((items) => ({ type: "array", items })),
    fc.array(tie("schema"), { minLength: 1, maxLength: 3 }).map((prefixItems) => ({
      type: "array",
      prefixItems,
      items: false,
      minItems: prefixItems.length,
      maxItems: prefixItems.length,
    })),
    fc.array(tie("schema"), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
    fc
      .tuple(tie("schema"), tie("schema"))
      .map(([one, other]) => ({ oneOf: [variant("one", one), variant("two", other)] })),
    tie("schema").map((one) => ({ allOf: [one] })),
    tie("schema").map((value) => ({
      type: "object",
      properties: { value, next: { anyOf: [{ $ref: "#/$defs/list" }, { type: "null" }] } },
      required: ["next"],
    })),
  ),
}));

function objectOf(inner: fc.Arbitrary<object>): fc.Arbitrary<object> {
  return fc
    .record({
      properties: fc.uniqueArray(fc.tuple(name, inner, fc.boolean()), { maxLength: 4, selector: ([key]) => key }),
      additional: fc.oneof(fc.constantFrom(undefined, false, true), inner),
    })
    .map(({ properties, additional }) => ({
      type: "object",
      properties: Object.fromEntries(properties.map(([key, value]) => [key, value])),
      required: properties.filter(([, , isRequired]) => isRequired).map(([key]) => key),
      ...(additional === undefined ? {} : { additionalProperties: additional }),
    }));
}

function variant(kind: string, value: object): object {
  return {
    type: "object",
    properties: { kind: { type: "string", const: kind }, value },
    required: ["kind", "value"],
    additionalProperties: false,
  };
}

const list = {
  type: "object",
  properties: { head: { type: "integer" }, tail: { anyOf: [{ $ref: "#/$defs/list" }, { type: "null" }] } },
  required: ["head", "tail"],
  additionalProperties: false,
};

/** JSON Schemas of all kinds that grammars can hold. */
export const schemas: fc.Arbitrary<object> = schema.map((generated) => ({ ...generated, $defs: { list } }));
