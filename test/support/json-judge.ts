// The judge of what is valid: Ajv by the draft 2020-12, strict, with its formats.
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

export function validatorOf(schema: unknown): (value: unknown) => boolean {
  // Without ownProperties it takes Object.prototype.constructor for a property.
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, ownProperties: true });
  addFormats.default(ajv);
  return ajv.compile(schema as object);
}
